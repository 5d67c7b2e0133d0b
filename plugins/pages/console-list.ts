import { html } from 'ghtml'
import type { PageFilter } from '../core/core.ts'
import { toQuery } from './pager.ts'

/** How many rows a page of a list shows. */
const PAGE = 50

export interface ListQuery {
  search?: string
  before?: string
}

/** One more than is shown is read, to know whether there are more. */
export function readPage({ search = '', before }: ListQuery): PageFilter {
  const [, at, id = ''] = /^(\d{1,12})\.(.{1,2048})$/s.exec(before ?? '') ?? []
  return {
    limit: PAGE + 1,
    search: search.trim().slice(0, 2048) || undefined,
    before: at === undefined ? undefined : { created_at: Number(at), id },
  }
}

interface List<Row> {
  /** Relative to the issuer. */
  path: string
  query: ListQuery
  rows: Row[]
  /** What can be searched, as the label of the field. */
  searched: string
  /** What is said where there is no row at all, as it is. */
  none: string
  idOf(row: Row): string
  toItem(row: Row): string
}

/** A list with its search and the way to what is older. */
export function listPage<Row extends { created_at: number }>(list: List<Row>): string {
  const { path, query, rows, searched, none, idOf, toItem } = list
  const { search = '', before } = query
  const shown = rows.slice(0, PAGE)
  const last = shown.at(-1)
  const more = rows.length > PAGE && last !== undefined
  const older =
    more && search === ''
      ? html`<a class="button quiet" rel="next" href="${path}?${toQuery({ before: `${last.created_at}.${idOf(last)}` })}">Older ones</a>`
      : ''
  const first =
    before === undefined || search !== ''
      ? ''
      : html`<a class="button quiet" href="${path}">The newest</a>`
  const body =
    shown.length > 0
      ? html`<ul class="plain rows">!${shown.map((row) => `<li>${toItem(row)}</li>`).join('\n')}</ul>`
      : search === '' && before === undefined
        ? none
        : '<p>Nothing fits.</p>'
  return html`<form class="card filters" method="get" action="${path}" role="search"><div><label for="search">${searched}</label><input id="search" name="search" value="${search}" autocomplete="off" spellcheck="false"></div>
<div class="actions"><button class="quiet">Search</button>!${search === '' ? '' : html`<a class="button quiet" href="${path}">Show all</a>`}</div></form>
!${body}
!${more && search !== '' ? `<p class="quiet">There are more: search for a longer beginning.</p>` : ''}
!${older + first === '' ? '' : `<p class="actions">${first}${older}</p>`}`
}

/** The page of one of a noun, relative to the issuer. */
export function pathOf(noun: string, id: string, more = ''): string {
  return `console/${noun}/${encodeURIComponent(id)}${more}`
}

/** What can be done, as links to the pages that ask. */
export function actLinks(links: [path: string, label: string, kind?: 'danger'][]): string {
  return html`<p class="actions">!${links.map(([path, label, kind = 'quiet']) => html`<a class="button ${kind}" href="${path}">${label}</a>`).join('')}</p>`
}

export function stateTag(disabled_at: number | null): string {
  return disabled_at === null ? '' : ' <span class="tag bad">disabled</span>'
}
