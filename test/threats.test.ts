import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..')

t.test('every line of the README’s threats names tests that exist', async (t) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const [, section = ''] = readme.match(/^## Threats and what stops them\n(.*?)^## /ms) ?? []
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| Threat /.test(line))
  t.ok(rows.length >= 18)
  for (const row of rows) {
    const tests = row.split(' | ').at(-1)?.replace(/ \|$/, '').split('<br>') ?? []
    for (const test of tests) {
      const [, file = '', title = ''] = test.match(/^\[[^\]]+\]\((test\/[^)]+)\): (.+)$/) ?? []
      t.match(file, /\.test\.ts$/, row)
      const source = readFileSync(join(root, file), 'utf8')
      t.ok(
        source.includes(`.test('${title}', `) || source.includes(`.test(\n  '${title}',\n`),
        test,
      )
    }
  }
})
