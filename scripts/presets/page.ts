import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { APIS, type ApiPreset } from './apis.ts'
import type { ApplicationPreset } from './preset.ts'
import { APPLICATIONS } from './presets.ts'

const page = join(import.meta.dirname, '../../plugins/oauth/APPLICATIONS.md')
const [start, end] = [
  '<!-- From scripts/presets, by scripts/presets/page.ts -->',
  '<!-- Until here -->',
]

const given = {
  issuer: 'https://auth.example.com',
  client_id: 'client_…',
  client_secret: 'cs_…',
  url: 'https://app.example',
}

/** The page with its product sections made from the presets; the rest stays. */
export function applicationsPage(): string {
  const text = readFileSync(page, 'utf8')
  const sections = [
    ...Object.entries(APPLICATIONS).map(([name, preset]) =>
      section(preset, `\`client create --preset ${name} --url ${given.url}\``),
    ),
    ...Object.values(APIS).map((api) =>
      section(api, `\`resource create --uri ${given.url} --scope use\``),
    ),
  ]
  const before = text.slice(0, text.indexOf(start))
  return [before + start, ...sections, text.slice(text.indexOf(end))].join('\n\n')
}

function section(
  { title, version, files, notes }: ApplicationPreset | ApiPreset,
  command: string,
): string {
  const lines = files.map(
    (file) => `${file.name}:\n\n\`\`\`${file.language}\n${file.lines(given)}\n\`\`\``,
  )
  return [
    `### ${title}`,
    `Tried with ${version}. ${command}`,
    ...lines,
    notes.map((note) => `- ${note}`).join('\n'),
  ].join('\n\n')
}

if (process.argv[1] === import.meta.filename) writeFileSync(page, applicationsPage())
