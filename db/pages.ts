import { type RawBuilder, type SqlBool, sql } from 'kysely'

/** Which part of a long list: the newest, from one place on, or what a search finds. */
export interface PageFilter {
  /** The newest that is older than this place. */
  before?: { created_at: number; id: string } | undefined
  /** An identifier, or how a name or an address begins. */
  search?: string | undefined
  limit: number
}

/** What is older than a place in a list, by an index on the time and the identifier. */
export function isOlder(
  id: string,
  place: { created_at: number; id: string },
): RawBuilder<SqlBool> {
  return sql<SqlBool>`(${sql.ref('created_at')}, ${sql.ref(id)}) < (${place.created_at}, ${place.id})`
}

/** No text that begins like another is greater than that one with this at its end. */
const LAST = '\u{10ffff}'

/** The text of a column by which it is searched; each such column has an index on it. */
export function lowerCase(column: string): RawBuilder<string> {
  return sql<string>`lower(${sql.ref(column)})`
}

export function beginsLike(column: string, search: string): RawBuilder<SqlBool> {
  const text = lowerCase(column)
  return sql<SqlBool>`(${text} >= lower(${search}) and ${text} < lower(${search + LAST}))`
}

/** Rows of several searches, each once. */
export function eachOnce<Row>(rows: Row[], idOf: (row: Row) => string, limit: number): Row[] {
  return [...new Map(rows.map((row) => [idOf(row), row])).values()].slice(0, limit)
}
