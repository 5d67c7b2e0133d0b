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
  message: string
  /** When the owner was mailed a code, in epoch seconds; null when there is none to be typed. */
  mailed_at: number | null
}

/** A sign-in that did not happen. Its message names no secret, code or token. */
export class SignInError extends Error {
  override name = 'SignInError'
  readonly code: SignInErrorCode
  /** With `approval_required`. */
  readonly approval: PendingApproval | undefined

  constructor(
    code: SignInErrorCode,
    message: string,
    { approval, ...options }: ErrorOptions & { approval?: PendingApproval } = {},
  ) {
    super(message, options)
    this.code = code
    this.approval = approval
  }
}
