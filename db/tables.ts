/** The present state of the database, as Kysely sees it. Times are whole seconds since the epoch. */
export interface Tables {
  clients: ClientRow
  agents: AgentRow
  secrets: SecretRow
  authorization_requests: AuthorizationRequestRow
  grants: GrantRow
  resources: ResourceRow
  revoked_access_tokens: { jti: string; expires_at: number }
  signing_keys: SigningKeyRow
  agent_keys: AgentKeyRow
  used_assertions: { agent_id: string; jti: string; expires_at: number }
  agent_policies: AgentPolicyRow
  agent_sites: { agent_id: string; site: string; created_at: number }
  client_policies: ModelPolicyRow & { client_id: string }
  approvals: ApprovalRow
  approval_askings: ApprovalAskingRow
  approval_guesses: ApprovalGuessesRow
  approval_proofs: ApprovalProofRow
  remembered_approvals: RememberedApprovalRow
  consent_proofs: ConsentProofRow
  remembered_consents: RememberedConsentRow
  /** The position orders the events of one second. */
  events: EventRow & { position: number }
  client_assertions: { client_id: string; jti: string; expires_at: number }
  remote_documents: RemoteDocumentRow
  initial_access_tokens: InitialAccessTokenRow
  logout_notices: LogoutNoticeRow
  owners: OwnerRow
  passkeys: PasskeyRow
  passkey_challenges: PasskeyChallengeRow
  owner_sessions: OwnerSessionRow
  owner_invitations: OwnerInvitationRow
  owner_mail_codes: OwnerMailCodeRow
  /** One row, written to test whether the database can be written. */
  heartbeat: { id: number; at: number }
}

export interface ClientRow {
  client_id: string
  client_name: string
  /** JSON array of strings. */
  redirect_uris: string
  /** JSON array of strings. */
  grant_types: string
  token_endpoint_auth_method: string
  id_token_signed_response_alg: string
  refresh_reuse_grace: number | null
  /** `strict` or `known-networks`; null for the default of this kind of client. */
  refresh_reuse: string | null
  /** The only scopes that it may ask for; null when it may ask for any. */
  scope: string | null
  /** Whom its tokens name as their subject: the agent, or the owner of the agent. */
  subject: 'agent' | 'owner'
  /** The URI of the resource for requests that name none; null for this server. */
  default_resource: string | null
  /** JSON Web Key Set of its public keys, as text. */
  jwks: string | null
  jwks_uri: string | null
  /** JSON array of strings. */
  post_logout_redirect_uris: string
  backchannel_logout_uri: string | null
  application_type: string | null
  /** 1 where agents may poll the code of a request that no browser opened, else 0. */
  legacy_polling: number
  /** Who registered it: `operator`, itself (`dynamic`), or its metadata document (`document`). */
  origin: string
  /** SHA-256 of the token with which a client that registered itself changes its registration. */
  registration_token_hash: string | null
  /** When a client that the operator did not register was last seen to be in use. */
  in_use_at: number | null
  /** JSON object of the operator's changes to a client that the operator did not register, by column. */
  operator_change: string | null
  /** When a stranger's client is removed if no agent has signed in to it; null when one has. */
  unproved_until: number | null
  created_at: number
  disabled_at: number | null
  /** Tokens without a grant that were issued up to this time are invalid. */
  tokens_not_before: number | null
}

/** That a client has yet to be told of the end of a sign-in. */
export interface LogoutNoticeRow {
  /** The sign-in that has ended; `sid` in its ID Tokens. */
  grant_id: string
  client_id: string
  sub: string
  /** How often it was tried. */
  attempts: number
  /** When it is tried next. */
  next_at: number
}

/** A JSON document that was fetched from its URL. */
export interface RemoteDocumentRow {
  url: string
  body: string
  fetched_at: number
  /** Until when it is not fetched again. */
  fresh_until: number
  expires_at: number
  /** When it is removed if no agent has signed in to its client; null when one has. */
  unproved_until: number | null
}

/** A token that allows its holder to register clients. */
export interface InitialAccessTokenRow {
  token_id: string
  /** SHA-256. */
  token_hash: string
  name: string | null
  created_at: number
  expires_at: number | null
}

export interface AgentRow {
  agent_id: string
  /** The person whose agent it is; null until the address is verified for one. */
  owner_id: string | null
  email: string
  /** 1 where the operator vouches for it, else 0. */
  email_verified: number
  name: string | null
  created_at: number
  disabled_at: number | null
}

/** A secret of a client, an agent or a resource. Two may live while one replaces the other. */
export interface SecretRow {
  /** The `client_id`, `agent_id` or `resource_id` that authenticates with it. */
  holder_id: string
  /** Eight hexadecimal digits of the secret's SHA-256: selects the row to compare with. */
  hint: string
  bcrypt_hash: string
  created_at: number
  expires_at: number | null
}

/** What `/authorize` opened. Its authorization code is derived from `request_id`, not stored. */
export interface AuthorizationRequestRow {
  request_id: string
  client_id: string
  redirect_uri: string
  scope: string
  /** JSON array of the normal URIs of the resources asked for; null when none was. */
  resource: string | null
  state: string | null
  nonce: string | null
  /** `query` or `form_post`. */
  response_mode: string
  /** The only subject, an agent or an owner, that may be signed in, when an `id_token_hint` named one. */
  hinted_sub: string | null
  /** Whom the website expects, in its own words: it decides nothing. */
  login_hint: string | null
  code_challenge: string
  /** SHA-256 of the cookie of the browser that opened it; null when no browser did. */
  browser_hash: string | null
  /** The network address that opened it; null on rows that are older than this column. */
  opened_from: string | null
  created_at: number
  expires_at: number
  /** The grant that the agent's authentication made. */
  grant_id: string | null
  code_expires_at: number | null
  /** When the code was handed to the opener of the request. */
  completed_at: number | null
  /** When the code was redeemed. */
  redeemed_at: number | null
  /**
   * `agent` when the code goes to the agent that proved itself and to nobody else; `owner` when it
   * went to the page on which the owner consented.
   */
  deliver: 'agent' | 'owner' | null
  /** When an owner refused it. */
  denied_at: number | null
}

/**
 * One sign-in of one agent, or of its owner in its name, at one client. Revoking it ends all of its
 * tokens.
 */
export interface GrantRow {
  grant_id: string
  client_id: string
  agent_id: string
  /** Empty where a person signed in. */
  model: string
  scope: string
  /** As on the request: the resources that its access tokens can be for. */
  resource: string | null
  /** How the agent or person authenticated, in words separated by spaces (RFC 8176). */
  amr: string
  /** The person who signed in; null where the agent did. */
  owner_id: string | null
  /** The `sub` of its tokens where that is the owner; null where it is the agent. */
  subject: string | null
  /** When the person authenticated; null where the agent did, which is at `created_at`. */
  auth_time: number | null
  /** The `acr` of the person's authentication; null where the agent authenticated. */
  acr: string | null
  /** When it ends at the latest, as the person chose; null for no end of its own. */
  ends_at: number | null
  /** 0 where the person allowed it for this once: it gets no refresh token. */
  refreshable: number
  created_at: number
  /** When its last token expires. */
  expires_at: number
  /** The number of the valid refresh token; null when there is none. */
  refresh_generation: number | null
  refreshed_at: number | null
  /** JSON, see refresh-history.ts; null when a used refresh token is never accepted again. */
  refresh_history: string | null
  revoked_at: number | null
  /** When maintenance next checks whether the grant has expired. Never later than its expiry. */
  expiry_check_at: number
}

/** An API or MCP server for which access tokens are issued. */
export interface ResourceRow {
  resource_id: string
  uri: string
  normal_uri: string
  name: string | null
  /** JSON array of strings. */
  scopes: string
  /** Who may ask for it: clients that the operator registered, or strangers too. */
  open_to: 'registered' | 'anyone'
  /** The algorithm that signs access tokens for it; null for the server's ACCESS_TOKEN_ALG. */
  access_token_alg: string | null
  created_at: number
}

export interface SigningKeyRow {
  kid: string
  alg: string
  /** JSON Web Key, public members only. */
  public_jwk: string
  /** The private JSON Web Key, encrypted. */
  private_jwk_encrypted: string
  created_at: number
  /** When it begins to sign; it is published from `created_at` on. */
  active_from: number
  /** When its last token has expired and it leaves the key set; null while it has no successor. */
  remove_at: number | null
}

/** A public key by which an agent proves itself. */
export interface AgentKeyRow {
  agent_id: string
  kid: string
  alg: string
  /** JSON Web Key, public members only. */
  public_jwk: string
  created_at: number
}

/** JSON arrays of model names; a trailing `*` matches every name with this beginning. */
export interface ModelPolicyRow {
  allowed_models: string
  refused_models: string
}

/** What the owner allows an agent. An agent without a row has the default policy. */
export interface AgentPolicyRow extends ModelPolicyRow {
  agent_id: string
  sites: 'registered' | 'any' | 'list' | 'ask'
  /** 1 or 0. */
  remember_sites: number
  deliver: 'any' | 'agent'
  secret: 'allow' | 'forbid'
  /** What answers when the owner is asked. */
  approval: 'mail' | 'passkey'
}

/** A question to an owner whether an agent may sign in, and its answer. */
export interface ApprovalRow {
  request_id: string
  agent_id: string
  model: string
  deliver: 'agent' | null
  /** How the agent proved itself. */
  method: string
  /** The network address of the agent; null on rows that are older than this column. */
  address: string | null
  /** The code's HMAC under a key that is not in the database; null when no code was made. */
  code_hash: string | null
  /** How many more codes the agent may try with its proof. */
  tries_left: number
  /** How many more codes may be tried without proof. */
  unproved_tries_left: number
  /** `ended` with the agent's sign-ins, or with a change of the client. */
  status: 'pending' | 'approved' | 'denied' | 'used' | 'ended'
  /** 1 when what was shown is remembered, else 0. */
  remember: number
  /** When the mail server accepted the code, which is not valid before. */
  mailed_at: number | null
  /** Until when a process is sending the mail. */
  mailing_until: number | null
  /** How many more times the mail may be tried. */
  mails_left: number
  /** What answers it: a code of the mail, or a passkey of the owner and nothing else. */
  answered_by: 'code' | 'passkey'
  created_at: number
  expires_at: number
}

/** A question to an owner that has not been approved (yet). */
export interface ApprovalAskingRow {
  asking_id: string
  agent_id: string
  request_id: string
  asked_at: number
}

/** The number of wrong codes that were tried for an agent since a time. */
export interface ApprovalGuessesRow {
  agent_id: string
  /** 1 for those that came with the agent's proof, else 0. */
  proved: number
  since: number
  wrong: number
}

/** What a passkey signed when an owner approved a sign-in. It lives as long as its event. */
export interface ApprovalProofRow {
  event_id: string
  request_id: string
  /** All that the owner was shown and chose: the text whose hash went into the challenge. */
  subject: string
  /** JSON of the challenge and the signed data. */
  proof: string
}

/** What an owner was shown and approved for the future. */
export interface RememberedApprovalRow {
  /** The grant of the sign-in in which it was approved. */
  grant_id: string
  agent_id: string
  client_id: string
  redirect_host: string
  scope: string
  /** As on the request: a JSON array of the normal URIs of the resources, or null. */
  resource: string | null
  created_at: number
}

/** The passkey's proof that a person consented to a grant. */
export interface ConsentProofRow {
  grant_id: string
  /** All that was shown and chosen: what the passkey signed the hash of. */
  subject: string
  /** JSON of the challenge and the signed data. */
  proof: string
}

/** A consent that holds for later sign-ins of the same kind, without a page. */
export interface RememberedConsentRow extends ConsentProofRow {
  owner_id: string
  agent_id: string
  client_id: string
  redirect_host: string
  scope: string
  /** As on the request: a JSON array of the normal URIs of the resources, or null. */
  resource: string | null
  created_at: number
  /** When it ends by itself; null when it does not. */
  ends_at: number | null
}

/** One line of the audit trail. */
export interface EventRow {
  event_id: string
  at: number
  event:
    | 'sign_in'
    | 'approval'
    | 'refresh'
    | 'revocation'
    | 'agent'
    | 'key'
    | 'policy'
    | 'owner'
    | 'client'
    | 'resource'
    | 'registration_token'
    | 'signing_key'
  /** The outcome in one word; the error code for a refusal. */
  outcome: string
  agent_id: string | null
  client_id: string | null
  model: string | null
  /** How the agent proved itself. */
  method: string | null
  /** The network address of the caller. */
  address: string | null
  /** A sentence for people. */
  detail: string | null
  /** The owner who did it in the account or the console; null for everybody else. */
  owner_id: string | null
}

/** A person: the owner of agents, and an operator where `operator` is 1. */
export interface OwnerRow {
  owner_id: string
  /** In its normal form. */
  email: string
  /** 1 once a mail to it was answered, or where the operator vouches for it. */
  email_verified: number
  name: string | null
  /** 1 where the owner may administer this server. */
  operator: number
  /** 1 where a mailed code signs in too. */
  mail_sign_in: number
  created_at: number
  disabled_at: number | null
}

/** A WebAuthn credential of an owner. */
export interface PasskeyRow {
  /** In base64url. */
  credential_id: string
  owner_id: string
  /** The COSE key in base64url. */
  public_key: string
  sign_count: number
  /** JSON array of strings. */
  transports: string
  /** The host that it is good for. */
  rp_id: string
  name: string
  created_at: number
  last_used_at: number | null
}

/** A challenge that a passkey has to sign. It is deleted by whoever uses it. */
export interface PasskeyChallengeRow {
  /** SHA-256. */
  challenge_hash: string
  /** What its assertion is good for, and nothing else. */
  purpose: string
  owner_id: string | null
  /** SHA-256 of all that the owner is shown, where the assertion agrees to something. */
  subject: string | null
  expires_at: number
}

/** A browser in which an owner is signed in. */
export interface OwnerSessionRow {
  /** SHA-256 of the cookie. */
  session_hash: string
  session_id: string
  owner_id: string
  /** How it began. */
  method: 'passkey' | 'mail' | 'invitation'
  /** The kind of browser, as it called itself. */
  browser: string | null
  address: string | null
  created_at: number
  /** When it was last used, to the minute. */
  seen_at: number
  /** When the owner last proved to be there, in any way (`auth_time`). */
  authenticated_at: number
  /** When a passkey last did so; null when none did. */
  passkey_at: number | null
  expires_at: number
}

/** A link with which a person becomes an owner, or finds the way back in. It is deleted by its use. */
export interface OwnerInvitationRow {
  /** SHA-256. */
  token_hash: string
  owner_id: string
  /** 1 where it was mailed to the address, so that its use verifies the address. */
  verifies_email: number
  created_at: number
  expires_at: number
}

/** A code that a browser asked for, mailed to an address to prove that the person reads its mail. */
export interface OwnerMailCodeRow {
  code_id: string
  /** What the code is good for, and nothing else. */
  purpose: 'sign-in' | 'confirm' | 'verify'
  email: string
  /** SHA-256 of the cookie of the browser that asked for it. */
  browser_hash: string
  /** The code's HMAC under a key that the database does not hold. */
  code_hash: string
  /** 0 where the address gets no code: the row is there so that nobody can tell. */
  mailed: number
  tries_left: number
  /** How many wrong codes were tried. */
  wrong: number
  created_at: number
  expires_at: number
}
