import { html } from 'ghtml'
import type {
  ApiContent,
  ApiDocument,
  ApiOperation,
  ApiSchema,
} from '../../schemas/api-document.ts'
import { documentStyle } from './document-style.ts'

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
<style nonce="${nonce}">!${documentStyle}</style>
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
