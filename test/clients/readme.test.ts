import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'plugins/oauth/README.md'), 'utf8')
const [, section = ''] = page.match(/^## Connect a website\n(.*?)^## /ms) ?? []

/** The lines of a text without their indentation and comments. */
function bareLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/(^|\s+)\/\/ .*$/, '').trim())
    .filter((line) => line !== '')
}

t.test('every line of code that the page for websites shows is in the linked test', async (t) => {
  const [first = '', ...blocks] = section.split('```ts\n')
  t.ok(blocks.length >= 6)
  let before = first
  for (const block of blocks) {
    const [code = '', after = ''] = block.split('```\n')
    const file =
      before
        .match(/\]\(\.\.\/\.\.\/(test\/clients\/[\w.-]+)\)/g)
        ?.at(-1)
        ?.slice('](../../'.length, -1) ?? ''
    const tested = new Set(bareLines(readFileSync(join(root, file), 'utf8')))
    const missing = bareLines(code).filter((line) => !tested.has(line))
    t.same(missing, [], file)
    before = after
  }
})

for (const page of ['plugins/oauth/README.md', 'agent/README.md']) {
  t.test(`every block of Python in ${page} is in the linked program, line by line`, async (t) => {
    const [first = '', ...blocks] = readFileSync(join(root, page), 'utf8').split('```python\n')
    t.ok(blocks.length >= 3)
    let before = first
    let file = ''
    for (const block of blocks) {
      const [code = '', ...after] = block.split('```\n')
      file =
        [...before.matchAll(/\]\([./]*(test\/clients\/python\/\w+\.py)\)/g)].at(-1)?.[1] ?? file
      const program = readFileSync(join(root, file), 'utf8').split('\n')
      let next = 0
      for (const line of code.trimEnd().split('\n')) {
        const found = program.indexOf(line, next)
        if (found === -1) t.fail(`${file} has no line after the one before: ${line}`)
        else next = found + 1
      }
      before = after.join('')
    }
  })
}
