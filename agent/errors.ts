import type { SignInDescription } from './description.ts'

/** Why a sign-in did not happen. */
export type SignInErrorCode =
  /** The page, or what it led to, does not belong to the issuer. Nothing was sent. */
  | 'wrong_origin'
  /** The request is for another site than the one that was meant. Nothing was granted. */
  | 'wrong_site'
  /** The page is the issuer's, but no sign-in waits on it. */
  | 'no_request'
  /** The request is unknown, has expired or was authenticated already. */
  | 'expired'
  /** The issuer did not accept the agent's key or secret. */
  | 'invalid_credentials'
  /** A policy of the agent's owner or of the site refuses the sign-in. */
  | 'refused'
  /** The owner has to approve the sign-in first. */
  | 'approval_required'
  /** The digits were not those that the owner was sent. */
  | 'wrong_approval_code'
  /** The sign-in was granted, but the agent's browser could not go on to the site. */
  | 'navigation'
  /** Too many failures; try again later. */
  | 'throttled'
  /** The issuer did not answer, or not as it should. */
  | 'network'
  /** The library was set up wrongly. */
  | 'configuration'

/** What the issuer says of an approval that it waits for. */
export interface PendingApproval {
  /** For how many seconds it can be given. */
  expires_in: number
  /** The library's own words. */
  message: string
  /** When the owner was mailed a code, in epoch seconds; null when there is none to be typed. */
  mailed_at: number | null
  /** What the owner decides on; undefined from an issuer of an older version. */
  sign_in: SignInDescription | undefined
}

/** What each code says, to a person or a model: no word of a page, a website or the issuer. */
const SENTENCES: Record<SignInErrorCode, string> = {
  wrong_origin: 'This page does not show a sign-in of the issuer',
  wrong_site: 'This sign-in is for another site than the one that was meant',
  no_request: 'No sign-in waits here',
  expired: 'The request is unknown, has expired or was authenticated already',
  invalid_credentials: 'The issuer did not accept the key or secret of the agent',
  refused: 'The issuer refused: the owner, a policy or the site does not allow this sign-in',
  approval_required: 'The owner has to approve this sign-in',
  wrong_approval_code: 'The digits are wrong, or not good any more',
  navigation: 'The agent is signed in, but its browser could not go on to the site',
  throttled: 'Too many failures: try again later',
  network: 'The issuer did not answer as it should',
  configuration: 'The agent is not set up as it should be',
}

/** What the issuer's own `error` code says more precisely. */
const REASONS: Record<string, string> = {
  invalid_target: 'The site asked for an API that is not registered or not open to it',
  invalid_scope: 'The site asked for a scope that it cannot have',
  invalid_client: 'The issuer does not accept the client that asks',
  temporarily_unavailable: 'The issuer is busy, or there were too many failures: try again later',
}

/** What an approval waits for: the digits of a mail, or the operator. */
export function describeApproval(mailed_at: number | null): string {
  if (mailed_at === null) {
    return `${SENTENCES.approval_required}: no digits were sent, the operator of the issuer answers`
  }
  const at = new Date(mailed_at * 1000).toISOString().slice(0, 16).replace('T', ' ')
  return `${SENTENCES.approval_required}, with the six digits that were sent by mail at ${at} UTC`
}

/**
 * A sign-in that did not happen. Its message names no secret, code or token, and quotes nobody but
 * whoever set the agent up; what the issuer said is its `cause`.
 */
export class SignInError extends Error {
  override name = 'SignInError'
  readonly code: SignInErrorCode
  /** With `approval_required`. */
  readonly approval: PendingApproval | undefined

  constructor(
    code: SignInErrorCode,
    message?: string,
    { approval, ...options }: ErrorOptions & { approval?: PendingApproval } = {},
  ) {
    super(message ?? approval?.message ?? SENTENCES[code], options)
    this.code = code
    this.approval = approval
  }
}

/** What the issuer refused, in a sentence of our own; its words are the `cause`. */
export function toSignInError(
  code: SignInErrorCode,
  { error, error_description }: Record<string, unknown>,
): SignInError {
  const reason = typeof error === 'string' && Object.hasOwn(REASONS, error) && REASONS[error]
  const cause = new Error(String(error_description ?? error ?? 'The issuer gave no reason'))
  return new SignInError(code, reason || undefined, { cause })
}
