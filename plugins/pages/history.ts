import type { HistoryQuery } from '../../schemas/history.ts'
import type { Event, PlacedEvent } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'

/** The kinds of events, as a person reads them. */
export const EVENTS: Record<Event['event'], string> = {
  sign_in: 'Sign-in',
  approval: 'Approval',
  refresh: 'Refresh',
  revocation: 'End of a sign-in',
  agent: 'Agent',
  key: 'Key',
  policy: 'Policy',
  owner: 'Owner',
  client: 'Website',
  resource: 'API',
  registration_token: 'Registration token',
  signing_key: 'Signing key',
}

const DAY = 86_400

/** @throws {OAuthError} invalid_request for a day or a kind of event that there is not */
export function readHistoryFilter({ agent_id, client_id, event, from, to }: HistoryQuery) {
  const last = readDay(to)
  return {
    agent_id,
    client_id,
    event: event === undefined ? undefined : readKind(event),
    from: readDay(from),
    to: last === undefined ? undefined : last + DAY,
  }
}

function readDay(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const milliseconds = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  if (!Number.isNaN(milliseconds)) return milliseconds / 1000
  throw new OAuthError('invalid_request', 'A day is written like 2026-01-31')
}

function readKind(text: string): Event['event'] {
  const kind = (Object.keys(EVENTS) as Event['event'][]).find((each) => each === text)
  if (kind !== undefined) return kind
  throw new OAuthError('invalid_request', 'There is no such kind of event')
}

/** An event as exports have it. */
export function exported({ position: _, at, ...event }: PlacedEvent) {
  return { time_utc: isoTime(at), ...event }
}

export function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '')
}

const COLUMNS = [
  'time_utc',
  'event',
  'outcome',
  'agent_id',
  'client_id',
  'model',
  'method',
  'address',
  'owner_id',
  'detail',
  'event_id',
] as const satisfies (keyof ReturnType<typeof exported>)[]

/** Events as lines of CSV (RFC 4180), the names of the columns first. */
export async function* toCsv(events: AsyncIterable<PlacedEvent>): AsyncGenerator<string> {
  yield `${COLUMNS.join()}\r\n`
  for await (const event of events) {
    const row = exported(event)
    yield `${COLUMNS.map((name) => toCell(row[name])).join()}\r\n`
  }
}

/**
 * A cell that a spreadsheet takes for text, whatever a stranger put into it: what begins like a formula
 * gets an apostrophe in front.
 */
function toCell(value: string | null): string {
  const text = (value ?? '').replace(/^[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/, "'$&")
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Values as a JSON array, piece by piece. */
export async function* toJsonArray(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  let separator = '['
  for await (const value of values) {
    yield `${separator}${JSON.stringify(value)}`
    separator = ',\n'
  }
  yield separator === '[' ? '[]' : ']'
}
