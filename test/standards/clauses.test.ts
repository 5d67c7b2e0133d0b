import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')
const here = 'test/standards/clauses.test.ts'
const tests = globSync('test/**/*.test.ts', { cwd: root })
  .filter((file) => file !== here)
  .map((file) => readFileSync(join(root, file), 'utf8'))
  .join('\n')
const page = readFileSync(join(root, 'plugins/README.md'), 'utf8')
const [table = ''] = page.split('\n## What is not supported\n')[1]?.split('\n## ') ?? []

/** Which clauses of a standard bind an authorization server; each is named by a test. */
const clauses: Record<string, string[]> = {
  'OAuth 2.1 section': [
    ...['1.4', '1.4.1', '1.5', '2.3', '2.3.1', '2.3.2', '2.4', '2.4.1', '3.1', '3.2', '3.2.1'],
    ...['3.2.3', '3.2.4', '4.1.1', '4.1.2', '4.1.2.1', '4.1.3', '4.2', '4.3', '4.3.1', '4.3.2'],
    ...['5.1.1', '7.4', '7.5.1', '7.10', '7.11', '8.1', '8.4.2', '10.2'],
  ],
  'RFC 6749 section': ['3.3', '4.1.2.1', '4.1.3', '4.4', '5.1', '5.2', '10.5', '10.14'],
  'RFC 6750 section': ['3', '3.1'],
  'RFC 7009 section': ['2', '2.1', '2.2', '5'],
  'RFC 7523 section': ['2.2', '3'],
  'RFC 7591 section': ['2', '3', '3.2.1', '3.2.2'],
  'RFC 7636 section': ['4.1', '4.3', '4.6'],
  'RFC 7662 section': ['2', '2.1', '2.2', '4'],
  'RFC 8414 section': ['2', '3.1', '3.2', '3.3'],
  'RFC 8707 section': ['2', '2.2'],
  'RFC 9068 section': ['2', '2.1', '2.2', '3', '4'],
  'RFC 9207 section': ['2'],
  'RFC 9700 section': ['2.1.2', '2.4', '4.12', '4.13', '4.14.2', '4.17', '4.2.4'],
  'RFC 9728 section': ['2', '3.1', '5.1'],
  'OpenID Connect Core section': ['2', '3.1.2.1', '3.1.2.6', '5.3', '5.3.2', '5.4', '12.2'],
  'CIMD section': ['3', '4', '6', '6.5'],
}

for (const [standard, sections] of Object.entries(clauses)) {
  t.test(`${standard} …: every clause that binds us is named by a test`, async (t) => {
    for (const section of sections) {
      const named = new RegExp(`${standard} ${section.replaceAll('.', '\\.')}(?![\\d.]*\\d)`)
      t.match(tests, named, `${standard} ${section}`)
    }
  })
}

t.test('what is not supported stands on the page with its reason, and is not tested', async (t) => {
  const rows = [...table.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].slice(2)
  t.ok(rows.length > 0)
  for (const [, what = '', clause = '', reason = ''] of rows) {
    t.match(clause, /(RFC|OpenID|OAuth|draft)/, what)
    t.match(reason.trim(), /.{20}/, what)
    const listed = Object.entries(clauses).flatMap(([standard, sections]) =>
      sections.map((section) => `${standard} ${section}`),
    )
    t.notOk(listed.includes(clause.trim()), `${clause} is not both`)
  }
})
