import { html } from 'ghtml'

/** The query of a link: what is named and has a value. */
export function toQuery(members: Record<string, string | undefined>): string {
  const known = Object.entries(members).filter((entry): entry is [string, string] => !!entry[1])
  return String(new URLSearchParams(known))
}

/** The way through a long list: back to its beginning, and on to what is older. */
export function pager(
  path: string,
  filter: Record<string, string | undefined>,
  { before, next }: { before: string | undefined; next: string | undefined },
): string {
  if (before === undefined && next === undefined) return ''
  const newest =
    before === undefined
      ? ''
      : html`<a class="button quiet" href="${path}?${toQuery(filter)}">The newest</a>`
  const older =
    next === undefined
      ? ''
      : html`<a class="button quiet" rel="next" href="${path}?${toQuery({ ...filter, before: next })}">Older ones</a>`
  return html`<p class="actions">!${newest}!${older}</p>`
}

/** A place in a list, as a word of a URL: a number and what orders those that have it in common. */
export function toCursor(number: number, rest: string | number): string {
  return `${number}.${rest}`
}

/** Undefined for what is no place. */
export function readCursor(text: string | undefined): { number: number; rest: string } | undefined {
  const [, number, rest] = /^(\d{1,12})\.([\w-]{1,100})$/.exec(text ?? '') ?? []
  return number === undefined || rest === undefined ? undefined : { number: Number(number), rest }
}
