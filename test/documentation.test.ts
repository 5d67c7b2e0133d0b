import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..')
const pages = [
  'README.md',
  ...globSync('{agent,bench,db,plugins,scripts,test}/**/README.md', {
    cwd: root,
    exclude: ['**/node_modules/**'],
  }),
]

t.test('every link of a page leads to a file that exists', async (t) => {
  t.ok(pages.length >= 6)
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, link = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
      t.ok(existsSync(join(root, dirname(page), link)), `${page}: ${link}`)
    }
  }
})

t.test('the first page is short and leads to every other one', async (t) => {
  const text = readFileSync(join(root, 'README.md'), 'utf8')
  t.ok(text.split('\n').length <= 200)
  for (const page of pages.filter((page) => page !== 'README.md' && page !== 'bench/README.md')) {
    t.match(text, `](${page})`)
  }
})
