import { OAuthError } from '../http/errors.ts'

/**
 * Returns the result of a look-up.
 * @throws {OAuthError} not_found when it is undefined
 */
export function assertFound<T>(value: T | undefined, id: string): T {
  if (value === undefined) throw new OAuthError('not_found', `There is no ${id}`)
  return value
}
