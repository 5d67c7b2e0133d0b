import { OAuthError } from '../http/errors.ts'

/**
 * What a look-up found.
 * @throws {OAuthError} not_found when it found nothing
 */
export function assertFound<T>(value: T | undefined, id: string): T {
  if (value === undefined) throw new OAuthError('not_found', `There is no ${id}`)
  return value
}
