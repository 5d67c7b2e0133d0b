import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const here = import.meta.dirname

t.test('every line of the table of threats names tests that exist', async (t) => {
  const page = readFileSync(join(here, 'README.md'), 'utf8')
  const [, after = ''] = page.split('\n## Threats and what stops them\n')
  const [section = ''] = after.split('\n## ')
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| Threat /.test(line))
  t.ok(rows.length >= 18)
  for (const row of rows) {
    const tests = row.split(' | ').at(-1)?.replace(/ \|$/, '').split('<br>') ?? []
    for (const test of tests) {
      const [, file = '', title = ''] = test.match(/^\[[^\]]+\]\(([^)]+)\): (.+)$/) ?? []
      t.match(file, /\.test\.ts$/, row)
      const source = readFileSync(join(here, file), 'utf8')
      t.ok(
        source.includes(`.test('${title}', `) || source.includes(`.test(\n  '${title}',\n`),
        test,
      )
    }
  }
})
