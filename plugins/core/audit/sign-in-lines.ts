import { quoteName } from '../../../schemas/name.ts'
import {
  IDENTITY_GIVES,
  IDENTITY_SCOPES,
  OFFLINE_ACCESS,
  scopeWords,
} from '../../../schemas/scope.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { isLoopback } from '../../../schemas/uri.ts'

/** Who vouches for a client's name, in words for people. */
export const VOUCHERS: Record<SignInDescription['client_origin'], string> = {
  operator: 'the operator of this server, who registered it',
  document: 'nobody here, only the host of its document',
  dynamic: 'nobody here: it registered itself',
}

/** Each fact as a line of a mail or list, in this order; undefined where it is not known. */
const lines: {
  [Fact in keyof Required<SignInDescription>]: [
    label: string,
    text: (description: SignInDescription) => string | undefined,
  ]
} = {
  redirect_host: [
    'Leads to',
    ({ redirect_host }) =>
      isLoopbackHost(redirect_host) ? `${redirect_host}, a program on a computer` : redirect_host,
  ],
  client_origin: ['Vouched for by', ({ client_origin }) => VOUCHERS[client_origin]],
  client_host: ['Document at', ({ client_host }) => client_host],
  client_id: ['Client', ({ client_id }) => shortened(client_id)],
  apis: [
    'Gives access to',
    ({ apis }) => (apis.length === 0 ? 'no API' : apis.map(describeApi).join('; ')),
  ],
  scope: ['It gets', ({ scope }) => describeScope(scope)],
  subject: ['Known there as', ({ subject }) => subject && 'the owner, with the agent beside it'],
  opened_from: ['Opened from', ({ opened_from }) => opened_from],
  opened_at: ['Opened at', ({ opened_at }) => describeTime(opened_at)],
  agent_id: ['Agent', ({ agent_id }) => agent_id],
  agent_address: ['Agent came from', ({ agent_address }) => agent_address],
  delivery: [
    'Code goes to',
    ({ delivery }) => (delivery === undefined ? undefined : RECEIVERS[delivery]),
  ],
  client_name: ['Name', ({ client_name }) => `calls itself ${quoteName(client_name)}`],
  model: ['Model', ({ model }) => model && `calls itself ${quoteName(model)}`],
}

/** Who gets the code, as a person reads it. */
export const RECEIVERS: Record<NonNullable<SignInDescription['delivery']>, string> = {
  agent: 'the agent alone',
  opener: 'whoever opened the sign-in',
}

/** The known facts, one a line. */
export function toLines(description: SignInDescription): [label: string, text: string][] {
  return Object.values(lines).flatMap(([label, write]): [string, string][] => {
    const text = write(description)
    return text === undefined ? [] : [[label, text]]
  })
}

/** The known facts in one line, for the audit trail. */
export function toDetail(description: SignInDescription): string {
  return toLines(description)
    .map(([label, text]) => `${label}: ${text}`)
    .join(' | ')
}

function describeApi({ uri, name, scopes }: SignInDescription['apis'][number]): string {
  const called = name === undefined ? '' : ` (${quoteName(name)})`
  return `${uri}${called}, ${scopes.length === 0 ? 'no scope of it' : `for ${scopes.join(' ')}`}`
}

/** The scope in words for people; an API's own scopes unchanged. */
export function describeScope(scope: string): string {
  const words = scopeWords(scope).filter((word) => word !== OFFLINE_ACCESS)
  const others = words.filter((word) => !IDENTITY_SCOPES.includes(word))
  const identity = others.length < words.length ? [IDENTITY_GIVES] : []
  return [...identity, ...others].join(', ')
}

export function isLoopbackHost(host: string): boolean {
  return isLoopback(new URL(`http://${host}`).hostname)
}

export function describeTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** A stranger chooses the path of a document's URL, and so its length. */
function shortened(client_id: string): string {
  return client_id.length > 120 ? `${client_id.slice(0, 119)}…` : client_id
}
