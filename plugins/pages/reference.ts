import { html } from 'ghtml'
import type {
  ApiContent,
  ApiDocument,
  ApiOperation,
  ApiSchema,
} from '../../schemas/api-document.ts'

/** What can be asked of the server, for people: the API document without any script. */
export function referencePage(document: ApiDocument, nonce: string): string {
  const { info, components } = document
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const tags = [...new Set(operations.map(({ operation }) => operation.tags?.[0] ?? 'Other'))]
  const of = (tag: string) =>
    operations.filter(({ operation }) => (operation.tags?.[0] ?? 'Other') === tag)
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${info.title}: reference</title>
<style nonce="${nonce}">!${style}</style>
</head>
<body>
<header>
<h1>${info.title}</h1>
<p>${info.description ?? ''}. The same as a document: <a href="openapi.json">openapi.json</a>. For agents: <a href="llms.txt">llms.txt</a>.</p>
</header>
<nav aria-label="Endpoints">
!${tags.map(
    (tag) => html`<h2>${tag}</h2>
<ul>!${of(tag).map(
      ({ method, path }) =>
        html`<li><a href="#${anchor(method, path)}"><code>!${signature(method, path)}</code></a></li>`,
    )}</ul>`,
  )}
</nav>
<main>
!${operations.map(
    ({ method, path, operation }) => html`<section id="${anchor(method, path)}">
<h2><code>!${signature(method, path)}</code></h2>
<p><strong>${operation.summary ?? ''}</strong></p>
!${operation.description ? html`<p>${operation.description}</p>` : ''}
!${security(operation)}
!${parameters(operation)}
!${operation.requestBody ? html`<h3>Body</h3>!${content(operation.requestBody.content)}` : ''}
<h3>Answers</h3>
<dl>!${Object.entries(operation.responses).map(
      ([status, response]) => html`<dt>${status}</dt>
<dd><p>${response.description}</p>!${response.content ? content(response.content) : ''}</dd>`,
    )}</dl>
</section>`,
  )}
<section id="schemas"><h2>Shared schemas</h2>
!${Object.entries(components.schemas).map(
    ([name, schema]) => html`<h3 id="schema-${name}">${name}</h3>!${members(schema)}`,
  )}
</section>
</main>
</body>
</html>
`
}

function anchor(method: string, path: string): string {
  return `${method}${path.replaceAll(/[^A-Za-z0-9.]+/g, '-')}`
}

function signature(method: string, path: string): string {
  return html`<b>${method.toUpperCase()}</b> ${path}`
}

function security({ security = [] }: ApiOperation): string {
  const names = security.map((scheme) => Object.keys(scheme)[0] ?? 'credentials in the body')
  return names.length === 0 ? '' : html`<p class="quiet">Authentication: ${names.join(' or ')}</p>`
}

function parameters({ parameters = [] }: ApiOperation): string {
  if (parameters.length === 0) return ''
  return html`<h3>Parameters</h3>!${table(
    parameters.map(({ name, required, description, schema = {} }) => ({
      name,
      required: required === true,
      schema: { ...schema, description: description ?? schema.description },
    })),
  )}`
}

/** Media types that share a schema stand together. */
function content(media: ApiContent): string {
  const types = new Map<string, string[]>()
  for (const [type, { schema = {} }] of Object.entries(media)) {
    const shown = members(schema)
    types.set(shown, [...(types.get(shown) ?? []), type])
  }
  return [...types]
    .map(([shown, names]) => html`<p class="quiet"><code>${names.join(', ')}</code></p>!${shown}`)
    .join('')
}

function members(schema: ApiSchema): string {
  if (schema.$ref) return html`<p>!${typeOf(schema)}</p>`
  const options = schema.oneOf ?? schema.anyOf
  if (options?.some(({ properties }) => properties)) {
    return options.map((option) => html`<div class="option">!${members(option)}</div>`).join('')
  }
  if (schema.properties === undefined) return ''
  return table(
    Object.entries(schema.properties).map(([name, member]) => ({
      name,
      required: schema.required?.includes(name) === true,
      schema: member,
    })),
  )
}

interface Member {
  name: string
  required: boolean
  schema: ApiSchema
}

function table(rows: Member[]): string {
  return html`<div class="wide"><table>
<thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>!${rows.map(
    ({ name, required, schema }) => html`<tr>
<th scope="row"><code>${name}</code>!${required ? ' <small>required</small>' : ''}</th>
<td>!${typeOf(schema)}</td><td>${schema.description ?? ''}</td></tr>`,
  )}</tbody>
</table></div>`
}

function typeOf(schema: ApiSchema): string {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1) ?? ''
    return html`<a href="#schema-${name}">${name}</a>`
  }
  const values = schema.const === undefined ? schema.enum : [schema.const]
  if (values) return values.map((value) => html`<code>${String(value)}</code>`).join(', ')
  const options = schema.oneOf ?? schema.anyOf
  if (options) return [...new Set(options.map(typeOf))].join(', ')
  if (schema.items) return html`array of !${typeOf(schema.items)}`
  return html`${[schema.type ?? 'any'].flat().join(' or ')}`
}

const style = `
:root { color-scheme: light dark; --line: light-dark(#dce1e9, #303846); --quiet: light-dark(#545e70, #a9b3c3); --accent: light-dark(#2b57d0, #93b3ff); }
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 78rem; padding: 1.5rem; font: 1rem/1.55 system-ui, sans-serif;
  color: light-dark(#1b2230, #e9edf4); background: light-dark(#fff, #0f1319);
  display: grid; grid-template-columns: 19rem minmax(0, 1fr); gap: 1rem 3rem;
}
header { grid-column: 1 / -1; }
nav { align-self: start; position: sticky; top: 1rem; max-height: calc(100vh - 2rem); overflow-y: auto; }
nav h2 { margin: 1rem 0 .25rem; font-size: .9rem; color: var(--quiet); }
nav ul { margin: 0; padding: 0; list-style: none; font-size: .85rem; }
nav li { padding: .15rem 0; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.7rem; }
section { padding-bottom: 1.5rem; border-bottom: 1px solid var(--line); }
section h2 { margin-top: 1.5rem; font-size: 1.15rem; overflow-wrap: anywhere; }
h3 { margin: 1.25rem 0 .5rem; font-size: 1rem; }
p { margin: .4rem 0; }
a { color: var(--accent); }
code { font: .92em ui-monospace, Menlo, Consolas, monospace; }
.quiet, small { color: var(--quiet); }
.wide { overflow-x: auto; }
.option + .option { margin-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { padding: .35rem .75rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); font-weight: 400; }
thead th { font-weight: 600; }
dl { margin: 0; display: grid; grid-template-columns: 3rem minmax(0, 1fr); gap: .25rem .75rem; }
dd { margin: 0; }
dd p:first-child { margin-top: 0; }
@media (max-width: 56rem) { body { grid-template-columns: minmax(0, 1fr); } nav { position: static; max-height: none; } }
`
