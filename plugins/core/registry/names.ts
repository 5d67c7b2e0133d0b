import type { ErrorCode } from '../../../schemas/error.ts'
import { NAME_RULE, normalName } from '../../../schemas/name.ts'
import { OAuthError } from '../http/errors.ts'

/**
 * Reads a name that a caller chose, in its normal form.
 * @throws {OAuthError} with the rule for names, without quoting the name
 */
export function readName(
  parameter: string,
  text: string,
  code: ErrorCode = 'invalid_request',
): string {
  const name = normalName(text)
  if (name === undefined) throw new OAuthError(code, `${parameter} ${NAME_RULE}`)
  return name
}

/** The change with its name, if it has one, in the normal form. */
export function withName<Change extends { name?: string | null }>(change: Change): Change {
  return typeof change.name === 'string'
    ? { ...change, name: readName('The name', change.name) }
    : change
}
