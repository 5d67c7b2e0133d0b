import { type Command, InvalidArgumentError, Option } from 'commander'
import { PREFIXES } from '../../schemas/identifier.ts'
import type { ModelPolicy } from '../../schemas/policy.ts'
import { parseUri } from '../../schemas/uri.ts'
import { Refusal } from './session.ts'

/** A parser for an option that takes decimal digits and nothing else. */
export function wholeNumber(unit: string, minimum: number, maximum: number) {
  return (text: string): number => {
    const number = /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : Number.NaN
    if (number >= minimum && number <= maximum) return number
    throw new InvalidArgumentError(
      `It must be a whole number of ${unit} from ${minimum} to ${maximum}.`,
    )
  }
}

/** The words of a repeatable option; `none` on its own is the empty list. */
export function listOf(words: string[]): string[] {
  if (!words.includes('none')) return words
  if (words.length === 1) return []
  throw new Refusal('"none" empties the list, so it cannot be combined with other words.')
}

/** A whole number of seconds, up to ten years. */
export const seconds = wholeNumber('seconds', 0, 315_360_000)

/** Seconds, or the word for the server's own setting. */
export function secondsOrServer(text: string): number | 'server' {
  return text === 'server' ? text : seconds(text)
}

/** The noun of the command line that each kind of identifier belongs to. */
const NOUNS = {
  agent_id: 'agent',
  client_id: 'client',
  grant_id: 'grant',
  initial_access_token_id: 'registration-token',
  owner_id: 'owner',
  request_id: 'approval',
  resource_id: 'resource',
} as const

export type IdentifierKind = keyof typeof NOUNS

/**
 * A parser for identifiers of one kind. It refuses an empty text, and an identifier or secret with the
 * prefix of another kind. Whether the identifier exists is checked in the database.
 */
export function identifier(kind: IdentifierKind) {
  return (text: string): string => {
    if (text.trim() === '') {
      throw new InvalidArgumentError('It is empty. Check that the shell variable is set.')
    }
    const other = Object.entries(PREFIXES).find(([, prefix]) => text.startsWith(prefix))?.[0]
    if (other === undefined || other === kind) return text
    const noun = Object.entries(NOUNS).find(([name]) => name === other)?.[1]
    const hint = noun === undefined ? '' : ` See "auth-agent ${noun} --help".`
    const what = other.replaceAll('_', ' ')
    const article = /^[aeio]/.test(what) ? 'an' : 'a'
    throw new InvalidArgumentError(
      `It starts with "${PREFIXES[kind]}", and this is ${article} ${what}.${hint}`,
    )
  }
}

/** A URL that needs no quoting in a shell or in any configuration format. */
export function plainUrl(text: string): string {
  if (/^https?:\/\/[\w.~:/%[\]-]+$/.test(text) && parseUri(text)) return text
  throw new InvalidArgumentError('It must be an http or https URL of letters, digits and ~:/%.-[]_')
}

/** Scopes may be given as separate words or as one text. */
export function words(scopes: string[]): string[] {
  return scopes.flatMap((scope) => scope.split(/\s+/)).filter((word) => word !== '')
}

/** @throws {Refusal} for an empty scope, so that the client could not ask for any */
export function scopeOf(scopes: string[]): string {
  const scope = words(scopes).join(' ')
  if (scope !== '') return scope
  throw new Refusal(
    '--scope is empty, so the client could not ask for any scope. Name its scopes. For no limit, use --any-scope with `client update`, or leave out --scope with `client create`.',
  )
}

/** Of `rotate-secret` and `remove-key`. */
export function compromised(): Option {
  return new Option(
    '--compromised',
    'also end every sign-in, code and token, since a thief may have made them',
  ).conflicts('overlap')
}

export interface ModelOptions {
  allowModel?: string[]
  refuseModel?: string[]
}

/** Of the policy of an agent or of a website. */
export function withModelOptions(command: Command): Command {
  return command
    .option('--allow-model <models...>', 'by name, or a beginning with a trailing *; none for all')
    .option('--refuse-model <models...>', 'the same; none refuses nothing')
}

export function toModelPolicy({ allowModel, refuseModel }: ModelOptions): Partial<ModelPolicy> {
  return {
    ...(allowModel && { allowed_models: listOf(allowModel) }),
    ...(refuseModel && { refused_models: listOf(refuseModel) }),
  }
}
