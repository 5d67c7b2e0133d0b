import { IDENTITY_SCOPES, OFFLINE_ACCESS } from '../../../schemas/scope.ts'
import { OAuthError } from '../http/errors.ts'

/**
 * RFC 6749 section 3.3.
 * @throws {OAuthError} invalid_scope
 */
export function assertScopeWord(word: string): void {
  if (!/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(word)) {
    throw new OAuthError('invalid_scope', `${word} is not a valid scope`)
  }
}

/**
 * Asserts that an API can have these scopes: none of them is a scope of this server.
 * @throws {OAuthError} invalid_scope
 */
export function assertScopes(scopes: string[]): void {
  for (const word of scopes) {
    assertScopeWord(word)
    if ([...IDENTITY_SCOPES, OFFLINE_ACCESS].includes(word)) {
      throw new OAuthError('invalid_scope', `The scope ${word} is this server's own`)
    }
  }
}
