import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'

/** Without control characters and lone surrogates, so that every database stores it unchanged. */
const JTI = /^[^\p{Cc}\p{Cs}]{1,255}$/u

/** The rules for the assertions of one kind of caller. */
export interface AssertionRules {
  /** The name of this caller's identifier, which must be its `iss` and `sub`. */
  identifier: 'agent_id' | 'client_id'
  algorithms: string[]
  /** The longest lifetime, and the largest difference between the clocks, in seconds. */
  maxLifetime: number
  clockSkew: number
  /** Whether `iat` is required and the lifetime begins there; otherwise it begins now. */
  countedFromIssue: boolean
  /** Whether `aud` may be an array, which must then have no other value. */
  audienceMayBeArray: boolean
  /** How many characters a `jti` has at least. */
  shortestJti: number
  /** Required beside `iss`, `sub`, `aud`, `exp` and `jti` (RFC 7523 section 3). */
  requiredClaims: string[]
}

export interface AssertionClaims extends JWTPayload {
  sub: string
  jti: string
  exp: number
}

/** An invalid claim. The message continues a sentence that begins with the assertion. */
export class AssertionError extends Error {
  override name = 'AssertionError'
}

/**
 * The claims of an assertion that a caller signed for this server (RFC 7523 section 3).
 * @param audience the values that `aud` may have
 * @throws {AssertionError} for an invalid claim; an error of jose for an invalid signature, and for
 *   text that is not a signed JWT
 */
export async function verifyAssertion<Claims extends AssertionClaims>(
  assertion: string,
  key: JWTVerifyGetKey,
  caller: { id: string; audience: string[]; now: number },
  rules: AssertionRules,
): Promise<Claims> {
  const { id, audience, now } = caller
  const { maxLifetime, clockSkew, countedFromIssue } = rules
  const { payload } = await jwtVerify<Claims>(assertion, key, {
    algorithms: rules.algorithms,
    issuer: id,
    subject: id,
    audience,
    requiredClaims: ['exp', 'jti', ...rules.requiredClaims],
    currentDate: new Date(now * 1000),
    clockTolerance: clockSkew,
    ...(countedFromIssue && { maxTokenAge: maxLifetime }),
  }).catch((error) => {
    throw toAssertionError(error, rules)
  })
  const { aud, exp, iat, jti } = payload
  // If `aud` named others as well, they could present the assertion here.
  const isArrayFine =
    rules.audienceMayBeArray && [aud].flat().every((one) => isOneOf(audience, one))
  if (Array.isArray(aud) && !isArrayFine) {
    throw new AssertionError('must have only this server as its aud')
  }
  const from = countedFromIssue ? Number(iat) : now + clockSkew
  if (exp - from > maxLifetime) {
    throw new AssertionError(`may be valid for at most ${maxLifetime} seconds`)
  }
  const isJti = typeof jti === 'string' && JTI.test(jti) && [...jti].length >= rules.shortestJti
  if (!isJti) {
    throw new AssertionError(`must have a jti of ${rules.shortestJti} to 255 characters`)
  }
  return payload
}

/**
 * Uses up an assertion: only one of several requests with it succeeds.
 * @param use records the `jti`, and returns true to the first caller only
 * @throws {AssertionError} for a second use
 */
export async function useAssertion(
  { sub, jti, exp }: AssertionClaims,
  rules: AssertionRules,
  use: (id: string, jti: string, expires_at: number) => Promise<boolean>,
): Promise<void> {
  // A NumericDate may have a fraction (RFC 7519 section 2), a row has whole seconds.
  const isFirst = await use(sub, jti, Math.ceil(exp) + rules.clockSkew)
  if (!isFirst) throw new AssertionError('was used before: its jti is valid once')
}

function isOneOf(audience: string[], one: string | undefined): boolean {
  return one !== undefined && audience.includes(one)
}

function toAssertionError(error: unknown, { identifier }: AssertionRules): unknown {
  if (error instanceof errors.JWTExpired) return new AssertionError('has expired')
  if (!(error instanceof errors.JWTClaimValidationFailed)) return error
  const { claim, reason } = error
  return new AssertionError(
    reason === 'missing'
      ? `must have ${claim}`
      : (claimProblems(identifier)[claim] ?? `has an invalid ${claim}`),
  )
}

function claimProblems(identifier: string): Record<string, string> {
  return {
    iss: `must have the ${identifier} as its iss`,
    sub: `must have the ${identifier} as its sub`,
    aud: 'must have this issuer as its aud',
    iat: 'was issued in the future',
    nbf: 'is not valid yet',
  }
}
