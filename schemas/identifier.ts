/**
 * The prefixes of this server's identifiers and secrets. A prefix shows people and secret scanners what a
 * string is; the rest is random or sealed, in base64url.
 */
export const PREFIXES = {
  agent_id: 'agent_',
  agent_secret: 'ags_',
  authorization_code: 'ac_',
  client_id: 'client_',
  client_secret: 'cs_',
  event_id: 'ev_',
  grant_id: 'grant_',
  invitation: 'inv_',
  initial_access_token: 'iat_',
  initial_access_token_id: 'riat_',
  mail_browser: 'mb_',
  mail_code_id: 'mail_',
  owner_id: 'owner_',
  owner_session: 'os_',
  owner_session_id: 'session_',
  refresh_token: 'rt_',
  registration_access_token: 'rat_',
  request_id: 'req_',
  resource_id: 'rs_',
  resource_secret: 'rss_',
} as const

export type Prefix = (typeof PREFIXES)[keyof typeof PREFIXES]
