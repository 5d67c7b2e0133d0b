import { normalHost } from './host.ts'

/**
 * A sign-in as the issuer describes it: checked facts first, then the names that the client and the
 * model chose for themselves. A test compares it with the issuer's own schema.
 */
export interface SignInDescription {
  /** The host that receives the sign-in. */
  redirect_host: string
  /** How the issuer knows the client; only the operator vouches for one. */
  client_origin: 'operator' | 'dynamic' | 'document'
  /** The host of the client's metadata document. */
  client_host?: string
  client_id: string
  /** The APIs and MCP servers that it gives access to. */
  apis: { uri: string; name?: string; scopes: string[] }[]
  scope: string
  /** `owner` where the client knows people by their owner, with the agent beside it. */
  subject?: 'owner'
  /** The network address of whoever opened the sign-in, and when, in seconds since the epoch. */
  opened_from?: string
  opened_at: number
  agent_id?: string
  agent_address?: string
  /** Who gets the code. */
  delivery?: 'agent' | 'opener'
  /** What the client calls itself. */
  client_name: string
  /** What the agent calls its model. */
  model?: string
}

type Facts = Record<string, unknown>

/** Writes each fact, in this order; undefined if it is not known. */
const facts: Record<keyof SignInDescription, (given: Facts) => string | undefined> = {
  redirect_host: ({ redirect_host }) => `It leads to ${host(redirect_host)}`,
  client_origin: ({ client_origin }) =>
    client_origin === 'operator'
      ? 'the client was registered by the operator of the issuer'
      : 'nobody vouches for the client',
  client_host: ({ client_host }) =>
    client_host === undefined ? undefined : `its document is at ${host(client_host)}`,
  client_id: ({ client_id }) => `its client_id is ${quote(client_id)}`,
  apis: ({ apis }) =>
    Array.isArray(apis) && apis.length > 0
      ? `it gives access to ${apis.map(writeApi).join(', ')}`
      : 'it gives access to no API',
  scope: ({ scope }) => `the scope is ${quote(scope)}`,
  subject: ({ subject }) =>
    subject === undefined ? undefined : 'it knows you by your owner, with the agent beside it',
  opened_from: ({ opened_from }) =>
    opened_from === undefined ? undefined : `it was opened from ${quote(opened_from)}`,
  opened_at: ({ opened_at }) =>
    Number.isSafeInteger(opened_at) && Number(opened_at) < 1e11
      ? `at ${new Date(Number(opened_at) * 1000).toISOString()}`
      : undefined,
  agent_id: ({ agent_id }) => (agent_id === undefined ? undefined : `by ${quote(agent_id)}`),
  agent_address: ({ agent_address }) =>
    agent_address === undefined ? undefined : `the agent came from ${quote(agent_address)}`,
  delivery: ({ delivery }) => {
    if (delivery === undefined) return undefined
    return `the code goes to ${delivery === 'agent' ? 'the agent alone' : 'whoever opened it'}`
  },
  client_name: ({ client_name }) => `the client calls itself ${quote(client_name)}`,
  model: ({ model }) =>
    model === undefined ? undefined : `the model calls itself ${quote(model)}`,
}

/**
 * Writes a description as one sentence, for a person or a model. Text that others chose is quoted, and
 * cannot contain a quotation mark.
 */
export function writeDescription(description: SignInDescription): string {
  return Object.values(facts)
    .flatMap((write) => write({ ...description }) ?? [])
    .join('; ')
}

/** The description in an issuer's answer; undefined from an issuer of an older version. */
export function readDescription(given: unknown): SignInDescription | undefined {
  const { redirect_host, client_origin, client_id, client_name, scope, apis, opened_at } = {
    ...(given as Facts | undefined),
  }
  const texts = [redirect_host, client_origin, client_id, client_name, scope]
  if (!texts.every((text) => typeof text === 'string')) return undefined
  if (!Array.isArray(apis) || typeof opened_at !== 'number') return undefined
  return given as SignInDescription
}

/** Quotes text that others chose: one line of at most 80 characters without quotation marks. */
export function quote(text: unknown): string {
  const visible = String(text)
    .replace(/["\u201c-\u201f]/gu, "'")
    .replace(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, '?')
  const characters = [...visible]
  return `“${characters.length > 80 ? `${characters.slice(0, 79).join('')}…` : visible}”`
}

function host(text: unknown): string {
  return quote(normalHost(String(text)) === text ? text : '?')
}

function writeApi(given: unknown): string {
  const { uri, name, scopes } = { ...(given as Facts | undefined) }
  const called = name === undefined ? '' : ` (${quote(name)})`
  return `${quote(uri)}${called} for ${quote(Array.isArray(scopes) ? scopes.join(' ') : '')}`
}
