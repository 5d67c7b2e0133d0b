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
  /** One row, written to find out whether the database can be. */
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
  /** `strict` or `known-networks`; null for what the kind of client has. */
  refresh_reuse: string | null
  /** The only scopes that it may ask for; null when that is not limited. */
  scope: string | null
  /** Whom its tokens name as their subject: the agent, or the owner of the agent. */
  subject: 'agent' | 'owner'
  /** The URI of the resource that is meant where it names none; null for this server. */
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
  /** JSON object of what the operator changed on a client that he did not register, by column. */
  operator_change: string | null
  /** When a stranger's client goes that no agent has signed in to; null when one has. */
  unproved_until: number | null
  created_at: number
  disabled_at: number | null
  /** Tokens without a grant that were issued up to then are dead. */
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
  /** When it goes unless it is of a client that an agent has signed in to; null when it is. */
  unproved_until: number | null
}

/** What allows somebody to register a client. */
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
  /** Eight hexadecimal digits of the secret's SHA-256: tells which of two rows to compare with. */
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
  /** The network address of whoever opened it; null on rows from before it was kept. */
  opened_from: string | null
  created_at: number
  expires_at: number
  /** The grant that the agent's authentication made. */
  grant_id: string | null
  code_expires_at: number | null
  /** When the code was handed to whoever opened the request. */
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
 * One sign-in of one agent, or of its owner in its name, at one client. Revoking it ends every token
 * that hangs from it.
 */
export interface GrantRow {
  grant_id: string
  client_id: string
  agent_id: string
  /** Empty where a person signed in. */
  model: string
  scope: string
  /** As on the request: what the audience of its access tokens may be. */
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
  /** When the last token that hangs from it has died. */
  expires_at: number
  /** The number of the refresh token that is good now; null while there is none. */
  refresh_generation: number | null
  refreshed_at: number | null
  /** JSON, see refresh-history.ts; null where used refresh tokens never come again. */
  refresh_history: string | null
  revoked_at: number | null
  /** When the sweep looks whether it has expired; before or when it does. */
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
  /** What signs access tokens for it; null for the server's ACCESS_TOKEN_ALG. */
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
  /** From when on it signs; it is published from `created_at` on. */
  active_from: number
  /** When its last token has died and it leaves the key set; null while no newer key is known. */
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

/** JSON arrays of model names; one that ends with `*` stands for all that begin like it. */
export interface ModelPolicyRow {
  allowed_models: string
  refused_models: string
}

/** What the owner lets an agent do. An agent without a row has the default policy. */
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

/** That an owner is asked, or was, whether an agent may sign in. */
export interface ApprovalRow {
  request_id: string
  agent_id: string
  model: string
  deliver: 'agent' | null
  /** How the agent proved itself. */
  method: string
  /** The network address from which it did; null on rows from before it was kept. */
  address: string | null
  /** The code's HMAC under a key that the database does not hold; null where no code was made. */
  code_hash: string | null
  /** How many codes the agent may still try with its proof. */
  tries_left: number
  /** How many codes may still be tried without proof. */
  unproved_tries_left: number
  /** `ended` with the agent's sign-ins, or with a change of the client. */
  status: 'pending' | 'approved' | 'denied' | 'used' | 'ended'
  /** 1 when what was shown is remembered, else 0. */
  remember: number
  /** When the mail server accepted the code; until then it is good for nothing. */
  mailed_at: number | null
  /** Until when somebody is sending the mail. */
  mailing_until: number | null
  /** How often the mail may still be tried. */
  mails_left: number
  /** What answers it: a code of the mail, or a passkey of the owner and nothing else. */
  answered_by: 'code' | 'passkey'
  created_at: number
  expires_at: number
}

/** That an owner was asked and has not agreed (yet). */
export interface ApprovalAskingRow {
  asking_id: string
  agent_id: string
  request_id: string
  asked_at: number
}

/** How many wrong codes were tried for an agent since a time. */
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

/** What an owner was shown and agreed to for the future. */
export interface RememberedApprovalRow {
  /** Of the sign-in that it was approved with. */
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
  /** What came of it: one word, for a refusal the error code. */
  outcome: string
  agent_id: string | null
  client_id: string | null
  model: string | null
  /** How the agent proved itself. */
  method: string | null
  /** The network address of whoever caused it. */
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
