import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Settings } from '../../plugins/core/settings.ts'

t.test('the operators’ page names every setting with its default', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../scripts/README.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (?:`(.*?)`)? *\| (.*) \|$/gm)]
  const settings = Object.entries(Settings.properties).map(([name, property]) => [
    name,
    property.default === undefined ? undefined : String(property.default),
    property.description,
  ])
  t.same(rows.map(([, ...row]) => row).sort(), settings.sort())
})
