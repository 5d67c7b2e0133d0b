import type { SignInDescription } from './description.ts'

/** Why a sign-in did not happen. */
export type SignInErrorCode =
  /** The page, or the page after it, is not the issuer's. Nothing was sent. */
  | 'wrong_origin'
  /** The request is for another site than the caller named. Nothing was granted. */
  | 'wrong_site'
  /** The page is the issuer's, but shows no pending sign-in. */
  | 'no_request'
  /** The request is unknown, has expired or was authenticated before. */
  | 'expired'
  /** The issuer did not accept the agent's key or secret. */
  | 'invalid_credentials'
  /** The issuer refuses the sign-in: `reason` says why. */
  | 'refused'
  /** The owner has to approve the sign-in first. */
  | 'approval_required'
  /** These are not the digits that the owner was sent. */
  | 'wrong_approval_code'
  /** The sign-in was granted, but the agent's browser did not reach the site. */
  | 'navigation'
  /** The agent's browser does not answer. Nothing was sent. */
  | 'browser'
  /** Too many failures; try again later. */
  | 'throttled'
  /** The issuer did not answer, or its answer is not valid. */
  | 'network'
  /** A setting or an argument is missing or not valid. */
  | 'configuration'

/** Who or what refused: a word of the issuer's answer. */
export type RefusalReason =
  /** The request is for another site than the agent expected. */
  | 'site'
  /** The website expects another agent. */
  | 'agent'
  /** A policy of the agent or of the site. */
  | 'policy'
  /** The agent's owner said no, or cannot be asked. */
  | 'owner'
  /** Too many approval codes were wrong. */
  | 'attempts'

/** An approval that the issuer waits for. */
export interface PendingApproval {
  /** For how many seconds it can be given. */
  expires_in: number
  /** The library's own words. */
  message: string
  /** When the owner was mailed a code, in epoch seconds; null if no code was sent. */
  mailed_at: number | null
  /** What the owner decides on; undefined from an issuer of an older version. */
  sign_in: SignInDescription | undefined
}

/** A sentence for each code, for a person or a model. It quotes no page, website or issuer. */
const SENTENCES: Record<SignInErrorCode, string> = {
  wrong_origin: 'This page does not show a sign-in of the issuer',
  wrong_site: 'This sign-in is for another site than the one that was named',
  no_request: 'This page shows no pending sign-in',
  expired: 'The request is unknown, has expired or was authenticated before',
  invalid_credentials: 'The issuer did not accept the key or secret of the agent',
  refused: 'The issuer refused this sign-in',
  approval_required: 'The owner has to approve this sign-in',
  wrong_approval_code: 'The digits are wrong or have expired',
  navigation: 'The sign-in was granted, but the browser did not reach the site',
  browser: "The agent's browser does not answer",
  throttled: 'Too many failures: try again later',
  network: 'The issuer did not answer, or its answer is not valid',
  configuration: 'The agent is not configured correctly',
}

const REFUSALS: Record<RefusalReason, string> = {
  site: 'The issuer refused: this sign-in is for another site than the one that was named',
  agent: 'The issuer refused: the website expects another agent',
  policy: 'The issuer refused: a policy of the agent or of the site does not allow this sign-in',
  owner: "The issuer refused: the agent's owner did not allow this sign-in",
  attempts: 'The issuer refused: too many approval codes were wrong',
}

/** The issuer's `error` codes that say more than the HTTP status. */
const ERRORS: Record<string, string> = {
  invalid_target: 'The site asked for an API that is not registered or not open to it',
  invalid_scope: 'The site asked for a scope that it cannot have',
  invalid_client: 'The issuer does not accept the client that asks',
  temporarily_unavailable: 'The issuer is busy, or there were too many failures: try again later',
}

/** Who can approve: the owner, with the digits of a mail, or the operator. */
export function describeApproval(mailed_at: number | null): string {
  if (mailed_at === null) {
    return `${SENTENCES.approval_required}: no digits were sent, the operator of the issuer answers`
  }
  const at = new Date(mailed_at * 1000).toISOString().slice(0, 16).replace('T', ' ')
  return `${SENTENCES.approval_required}, with the six digits that were sent by mail at ${at} UTC`
}

interface SignInErrorOptions extends ErrorOptions {
  approval?: PendingApproval
  reason?: RefusalReason
}

/**
 * A sign-in that did not happen. Its message contains no secret, code or token, and quotes only the
 * settings and arguments of the agent. What the issuer said is its `cause`.
 */
export class SignInError extends Error {
  override name = 'SignInError'
  readonly code: SignInErrorCode
  /** With `approval_required`. */
  readonly approval: PendingApproval | undefined
  /** With `refused`, if the issuer says it, and with `wrong_site`. */
  readonly reason: RefusalReason | undefined

  constructor(
    code: SignInErrorCode,
    message?: string,
    { approval, reason, ...options }: SignInErrorOptions = {},
  ) {
    super(message ?? approval?.message ?? SENTENCES[code], options)
    this.code = code
    this.approval = approval
    this.reason = code === 'wrong_site' ? 'site' : reason
  }
}

/** An answer of the issuer as an error in the library's own words; the issuer's are the `cause`. */
export function toSignInError(
  code: SignInErrorCode,
  { error, error_description, reason }: Record<string, unknown>,
): SignInError {
  const cause = new Error(String(error_description ?? error ?? 'The issuer gave no reason'))
  if (code === 'refused' && isReason(reason)) {
    return new SignInError(code, REFUSALS[reason], { cause, reason })
  }
  const known = typeof error === 'string' && Object.hasOwn(ERRORS, error)
  return new SignInError(code, known ? ERRORS[error] : undefined, { cause })
}

function isReason(word: unknown): word is RefusalReason {
  return typeof word === 'string' && Object.hasOwn(REFUSALS, word)
}
