import type { ErrorCode } from '../../../schemas/error.ts'
import { NAME_RULE, normalName } from '../../../schemas/name.ts'
import { OAuthError } from '../http/errors.ts'

/**
 * A name that somebody else chose, in its normal form.
 * @throws {OAuthError} that says the rule and not a word of the name
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
