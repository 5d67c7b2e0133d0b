import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import {
  type Approval,
  type Authentication,
  type Client,
  type Event,
  type Expiring,
  type Owner,
  type OwnerSession,
  openStore,
  type Passkey,
  type RemoteDocument,
  type SecretRow,
  type SigningKey,
  type Store,
  type Writes,
} from '../../db/store.ts'
import { makeFolder } from '../processes.ts'

/*
 * A query that an act does not yield does not run, and nothing else fails. So every act that writes
 * has a row here (the compiler refuses a missing one) with every table that it writes.
 */

const now = 1_000_000
const later = now + 60

/** How a table has changed: rows were inserted, changed or deleted. */
type Change = 'inserted' | 'changed' | 'deleted'

interface Scenario {
  /** SQL, run on the world below before the act. */
  given?: string
  act: (store: Store) => Promise<unknown>
  writes: Record<string, Change | Change[]>
}

const event: Event = {
  event_id: 'event_1',
  at: later,
  event: 'agent',
  outcome: 'changed',
  agent_id: 'agent_1',
  client_id: null,
  model: null,
  method: null,
  address: null,
  detail: null,
  owner_id: null,
}

const secret = (holder: string, hint = '00000000', created_at = now): SecretRow => ({
  holder_id: holder,
  hint,
  bcrypt_hash: 'hash',
  created_at,
  expires_at: null,
})

const person = `INSERT INTO owners VALUES ('owner_1', 'owner@example.com', 0, NULL, 0, 1, 1, NULL)`

const client: Client = {
  client_id: 'client_1',
  client_name: 'Site',
  redirect_uris: ['https://site.example/'],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'client_secret_basic',
  id_token_signed_response_alg: 'RS256',
  refresh_reuse_grace: null,
  refresh_reuse: null,
  scope: null,
  subject: 'agent',
  default_resource: null,
  jwks: null,
  jwks_uri: null,
  post_logout_redirect_uris: [],
  backchannel_logout_uri: null,
  application_type: null,
  legacy_polling: false,
  origin: 'operator',
  operator_change: null,
  created_at: now,
  disabled_at: null,
}

const stranger: Client = { ...client, client_id: 'client_2', origin: 'dynamic' }

const agent = (agent_id: string) => ({
  agent_id,
  owner_id: null,
  email: 'owner@example.com',
  email_verified: false,
  name: null,
  created_at: now,
  disabled_at: null,
})

const key = (kid: string) => ({
  agent_id: 'agent_1',
  kid,
  alg: 'ES256',
  public_jwk: '{}',
  created_at: now,
})

const resource = (resource_id: string) => ({
  resource_id,
  uri: `https://${resource_id}.example`,
  normal_uri: `https://${resource_id}.example/`,
  name: null,
  scopes: ['read'],
  open_to: 'anyone' as const,
  access_token_alg: null,
  created_at: now,
})

const signingKey = (kid: string, alg: string): SigningKey => ({
  kid,
  alg,
  public_jwk: '{}',
  private_jwk_encrypted: 'x',
  created_at: now,
  active_from: now,
  remove_at: null,
})

const request = (request_id: string, client_id = 'client_1') => ({
  request_id,
  client_id,
  redirect_uri: 'https://site.example/',
  scope: 'openid',
  resource: [],
  state: null,
  nonce: null,
  response_mode: 'query',
  hinted_sub: null,
  login_hint: null,
  code_challenge: 'x',
  browser_hash: null,
  opened_from: null,
  created_at: now,
  expires_at: now + 600,
})

const authentication = (request_id: string, grant_id: string): Authentication => ({
  request_id,
  agent_id: 'agent_1',
  model: 'model',
  deliver: null,
  amr: 'agent_secret',
  grant_id,
  now,
  code_expires_at: now + 600,
  event: { event_id: `event of ${grant_id}`, address: null, detail: null },
})

const approval = (request_id: string): Approval => ({
  request_id,
  agent_id: 'agent_1',
  model: 'model',
  deliver: null,
  method: 'agent_secret',
  address: null,
  code_hash: 'right',
  tries_left: 5,
  unproved_tries_left: 5,
  status: 'pending',
  remember: 1,
  mailed_at: null,
  mailing_until: later,
  mails_left: 2,
  answered_by: 'code',
  created_at: now,
  expires_at: now + 600,
})

const document = (url: string): RemoteDocument => ({
  url,
  body: '{}',
  fetched_at: now,
  fresh_until: later,
  expires_at: later,
})

const bound = { limit: 3, within: 3600 }
const bounds = { proved: true, guesses: bound, unprovedGuesses: bound }

/** Two clients, an agent, a pending request, one that waits for its owner, and a sign-in. */
async function fill(store: Store): Promise<void> {
  await store.clients.create(client, secret('client_1'))
  await store.clients.create(stranger, undefined)
  await store.agents.create(agent('agent_1'), secret('agent_1'))
  await store.agentKeys.add(key('kid_1'), 5, { ...event, event_id: 'event of kid_1' })
  await store.resources.create(resource('rs_1'), secret('rs_1'))
  await store.signingKeys.createFirst(signingKey('kid_1', 'ES256'))
  for (const id of ['req_pending', 'req_asked', 'req_granted', 'req_redeemed']) {
    await store.authorizationRequests.open(request(id))
  }
  await store.approvals.ask(
    approval('req_asked'),
    { askings: bound, guesses: bound },
    { ...event, event_id: 'event of req_asked' },
  )
  await store.approvals.recordMail(approval('req_asked'), now)
  await store.authorizationRequests.authenticate(authentication('req_granted', 'grant_code'))
  await store.authorizationRequests.authenticate(authentication('req_redeemed', 'grant_1'))
  await redeemCode(store, 'req_redeemed', 'grant_1')
}

function redeemCode(store: Store, request_id: string, grant_id: string) {
  return store.grants.redeemCode({
    request_id,
    grant_id,
    now,
    expires_at: now + 6000,
    refresh_generation: 0,
    reuse: { grace: 0 },
  })
}

function rotate(store: Store, generation: number) {
  return store.grants.rotate({
    grant_id: 'grant_1',
    client_id: 'client_1',
    generation,
    now: later,
    expires_at: later + 6000,
    reuse: { grace: 0 },
  })
}

/** A slow machine needs several acts to remove everything. */
async function repeat(removeSome: () => Promise<boolean>): Promise<void> {
  while (await removeSome());
}

const remembered = `INSERT INTO remembered_approvals VALUES
  ('grant_old', 'agent_1', 'client_1', 'site.example', 'openid', NULL, 1)`

const tellsClient = "UPDATE clients SET backchannel_logout_uri = 'https://site.example/logout'"

const noticed = "INSERT INTO logout_notices VALUES ('grant_old', 'client_1', 'agent_1', 0, 1)"
/** An owner who is signed in, whose agent it is, and what was consented to of a website. */
const consented = `${person};
  INSERT INTO owner_sessions VALUES ('session_1', 'session_1', 'owner_1', 'passkey', NULL, NULL, 1, 1, 1, 1, ${later * 2});
  UPDATE agents SET owner_id = 'owner_1';
  INSERT INTO remembered_consents VALUES
    ('grant_old', 'owner_1', 'agent_1', 'client_1', 'site.example', 'openid', NULL, '{}', '{}', 1, NULL)`

const personal = {
  request_id: 'req_pending',
  owner_id: 'owner_1',
  session_hash: 'session_1',
  grant_id: 'grant_2',
  amr: 'pop',
  acr: 'phr',
  ends_at: null,
  refreshable: 1,
  now,
  code_expires_at: now + 600,
}

const expired: Record<Expiring, { given: string; writes: Scenario['writes'] }> = {
  events: {
    given: "INSERT INTO events (event_id, at, event, outcome) VALUES ('old', 1, 'agent', 'x')",
    writes: { events: 'deleted' },
  },
  authorizationRequests: {
    given: "UPDATE authorization_requests SET expires_at = 1 WHERE request_id = 'req_pending'",
    writes: { authorization_requests: 'deleted' },
  },
  grants: {
    given: `UPDATE grants SET expiry_check_at = 1;
      UPDATE grants SET expires_at = 1 WHERE grant_id = 'grant_code'`,
    writes: { grants: ['changed', 'deleted'] },
  },
  revokedAccessTokens: {
    given: "INSERT INTO revoked_access_tokens VALUES ('jti', 1)",
    writes: { revoked_access_tokens: 'deleted' },
  },
  clientAssertions: {
    given: "INSERT INTO client_assertions VALUES ('client_1', 'jti', 1)",
    writes: { client_assertions: 'deleted' },
  },
  agentAssertions: {
    given: "INSERT INTO used_assertions VALUES ('agent_1', 'jti', 1)",
    writes: { used_assertions: 'deleted' },
  },
  remoteDocuments: {
    given: "INSERT INTO remote_documents VALUES ('https://x.example/', '', 1, 1, 1, NULL)",
    writes: { remote_documents: 'deleted' },
  },
  rememberedConsents: {
    given: `${consented}; UPDATE remembered_consents SET ends_at = 1`,
    writes: { remembered_consents: 'deleted' },
  },
  secrets: { given: 'UPDATE secrets SET expires_at = 1', writes: { secrets: 'deleted' } },
  initialAccessTokens: {
    given: "INSERT INTO initial_access_tokens VALUES ('id', 'hash', NULL, 1, 1)",
    writes: { initial_access_tokens: 'deleted' },
  },
  signingKeys: {
    given: 'UPDATE signing_keys SET remove_at = 1',
    writes: { signing_keys: 'deleted' },
  },
  passkeyChallenges: {
    given: `INSERT INTO passkey_challenges VALUES ('challenge_1', 'sign-in', NULL, NULL, 1)`,
    writes: { passkey_challenges: 'deleted' },
  },
  ownerSessions: {
    given: `${person}; INSERT INTO owner_sessions VALUES
      ('session_1', 'session_1', 'owner_1', 'mail', NULL, NULL, 1, 1, 1, NULL, 99)`,
    writes: { owner_sessions: 'deleted' },
  },
  ownerInvitations: {
    given: `${person}; INSERT INTO owner_invitations VALUES ('token_1', 'owner_1', 1, 1, 2)`,
    writes: { owner_invitations: 'deleted' },
  },
  ownerMailCodes: {
    given: `INSERT INTO owner_mail_codes VALUES
      ('mail_1', 'sign-in', 'owner@example.com', 'browser_1', 'code', 1, 5, 0, 1, 2)`,
    writes: { owner_mail_codes: 'deleted' },
  },
}

const owner = (owner_id: string, email_verified = false): Owner => ({
  owner_id,
  email: 'owner@example.com',
  email_verified,
  name: null,
  operator: false,
  mail_sign_in: true,
  created_at: now,
  disabled_at: null,
})

const passkey: Passkey = {
  credential_id: 'passkey_1',
  owner_id: 'owner_1',
  public_key: 'key',
  sign_count: 0,
  transports: '[]',
  rp_id: 'localhost',
  name: 'Passkey',
  created_at: now,
  last_used_at: null,
}

const owned = `${person}; UPDATE agents SET owner_id = 'owner_1'`

const session = (session_hash: string): OwnerSession => ({
  session_hash,
  session_id: session_hash,
  owner_id: 'owner_1',
  method: 'passkey',
  browser: null,
  address: null,
  created_at: now,
  seen_at: now,
  authenticated_at: now,
  passkey_at: null,
  expires_at: later,
})

const guard = { rp_id: 'localhost', mail: true, even_if_last: false }
const invitation = `${person}; INSERT INTO owner_invitations VALUES ('token_1', 'owner_1', 1, 1, ${later})`
const mailCode = (code_id: string) => ({
  code_id,
  purpose: 'sign-in' as const,
  email: 'owner@example.com',
  browser_hash: 'browser_1',
  code_hash: 'code',
  tries_left: 5,
  wrong: 0,
  created_at: now,
  expires_at: later,
})
const codeBounds = {
  askings: { limit: 5, within: 60 },
  wrong: { limit: 5, within: 60 },
  inAll: 5,
}
const mailCodeRow = `INSERT INTO owner_mail_codes VALUES ('mail_1', 'sign-in', 'owner@example.com', 'browser_1', 'code', 1, 5, 0, ${now}, ${later})`
const verifyCode = (store: Store) =>
  store.ownerMailCodes.verify(
    { browser_hash: 'browser_1', purpose: 'sign-in', code_hash: 'code' },
    now,
    { owner: owner('owner_1'), event },
  )
const passkeyRow = `${person}; INSERT INTO passkeys VALUES ('passkey_1', 'owner_1', 'key', 0, '[]', 'localhost', 'Passkey', ${now}, NULL)`
const challenge = `INSERT INTO passkey_challenges VALUES ('challenge_1', 'sign-in', NULL, NULL, ${later})`
const signedIn = `${person}; INSERT INTO owner_sessions VALUES
  ('session_1', 'session_1', 'owner_1', 'mail', NULL, NULL, 1, 1, 1, NULL, 99)`

type Scenarios = {
  [Noun in keyof Writes]: Record<Writes[Noun], Scenario | Scenario[]>
}

const scenarios: Scenarios = {
  agentKeys: {
    add: {
      act: (store) => store.agentKeys.add(key('kid_2'), 5, event),
      writes: { agent_keys: 'inserted', events: 'inserted' },
    },
    remove: [
      {
        act: (store) => store.agentKeys.remove('agent_1', 'kid_1', false, event),
        writes: { agent_keys: 'deleted', approvals: 'changed', events: 'inserted' },
      },
      {
        given: remembered,
        act: (store) => store.agentKeys.remove('agent_1', 'kid_1', true, event),
        writes: {
          agent_keys: 'deleted',
          approvals: 'changed',
          grants: 'changed',
          remembered_approvals: 'deleted',
          events: 'inserted',
        },
      },
    ],
    useAssertion: {
      act: (store) => store.agentKeys.useAssertion('agent_1', 'jti', later),
      writes: { used_assertions: 'inserted' },
    },
  },
  agents: {
    create: {
      act: (store) => store.agents.create(agent('agent_2'), secret('agent_2')),
      writes: { agents: 'inserted', secrets: 'inserted' },
    },
    createOfOwner: {
      given: person,
      act: (store) => {
        const mine = { ...agent('agent_2'), owner_id: 'owner_1' }
        return store.agents.createOfOwner(mine, secret('agent_2'), 1, event)
      },
      writes: { agents: 'inserted', secrets: 'inserted', events: 'inserted' },
    },
    update: [
      {
        given: tellsClient,
        act: (store) => store.agents.update('agent_1', { disabled_at: later }, later),
        writes: {
          agents: 'changed',
          grants: 'changed',
          approvals: 'changed',
          logout_notices: 'inserted',
        },
      },
      {
        given: remembered,
        act: (store) => store.agents.update('agent_1', { email: 'other@example.com' }, later),
        writes: { agents: 'changed', approvals: 'changed', remembered_approvals: 'deleted' },
      },
    ],
    delete: {
      given: tellsClient,
      act: (store) => store.agents.delete('agent_1', later),
      writes: {
        logout_notices: 'inserted',
        agents: 'deleted',
        secrets: 'deleted',
        agent_keys: 'deleted',
        approvals: 'deleted',
        approval_askings: 'deleted',
        grants: 'deleted',
      },
    },
    replaceSecret: [
      {
        act: (store) => store.agents.replaceSecret(secret('agent_1', '1', later), now, false),
        writes: { secrets: ['deleted', 'inserted'], approvals: 'changed' },
      },
      {
        act: (store) => store.agents.replaceSecret(secret('agent_1', '1'), later, false),
        writes: { secrets: ['changed', 'inserted'] },
      },
      {
        given: remembered,
        act: (store) => store.agents.replaceSecret(secret('agent_1', '1', later), now, true),
        writes: {
          secrets: ['deleted', 'inserted'],
          approvals: 'changed',
          grants: 'changed',
          remembered_approvals: 'deleted',
        },
      },
    ],
  },
  approvals: {
    ask: [
      {
        act: (store) =>
          store.approvals.ask(approval('req_pending'), { askings: bound, guesses: bound }, event),
        writes: { approvals: 'inserted', approval_askings: 'inserted', events: 'inserted' },
      },
      {
        given: 'UPDATE approvals SET mailed_at = NULL, mailing_until = NULL',
        act: (store) =>
          store.approvals.ask(approval('req_asked'), { askings: bound, guesses: bound }, event),
        writes: { approvals: 'changed' },
      },
    ],
    recordMail: {
      act: (store) => store.approvals.recordMail(approval('req_asked'), later),
      writes: { approvals: 'changed' },
    },
    answer: [
      {
        act: (store) =>
          store.approvals.answer(approval('req_asked'), { status: 'approved' }, now, event),
        writes: { approvals: 'changed', approval_askings: 'deleted', events: 'inserted' },
      },
      {
        given: owned,
        act: (store) =>
          store.approvals.answer(approval('req_asked'), { status: 'approved' }, now, event, {
            owner_id: 'owner_1',
            proof: { subject: '{}', proof: '{}' },
          }),
        writes: {
          approvals: 'changed',
          approval_askings: 'deleted',
          approval_proofs: 'inserted',
          events: 'inserted',
        },
      },
      {
        given: owned,
        act: (store) =>
          store.approvals.answer(approval('req_asked'), { status: 'approved' }, now, event, {
            owner_id: 'owner_2',
          }),
        writes: {},
      },
    ],
    verify: [
      {
        act: (store) =>
          store.approvals.verify(authentication('req_asked', 'grant_2'), bounds, 'right', event),
        writes: {
          approvals: 'changed',
          approval_askings: 'deleted',
          approval_guesses: 'inserted',
          authorization_requests: 'changed',
          grants: 'inserted',
          remembered_approvals: 'inserted',
          events: 'inserted',
        },
      },
      {
        act: (store) =>
          store.approvals.verify(authentication('req_asked', 'grant_2'), bounds, 'wrong', event),
        writes: { approvals: 'changed', approval_guesses: 'inserted', events: 'inserted' },
      },
    ],
    authenticateApproved: {
      given: `UPDATE approvals SET status = 'approved'; ${remembered}`,
      act: (store) => store.approvals.authenticateApproved(authentication('req_asked', 'grant_2')),
      writes: {
        approvals: 'changed',
        approval_askings: 'deleted',
        authorization_requests: 'changed',
        grants: 'inserted',
        remembered_approvals: ['deleted', 'inserted'],
        events: 'inserted',
      },
    },
  },
  authorizationRequests: {
    open: {
      act: (store) => store.authorizationRequests.open(request('req_new')),
      writes: { authorization_requests: 'inserted' },
    },
    authenticate: {
      given: `UPDATE authorization_requests SET client_id = 'client_2'
        WHERE request_id = 'req_pending'`,
      act: (store) =>
        store.authorizationRequests.authenticate(authentication('req_pending', 'grant_2')),
      writes: {
        authorization_requests: 'changed',
        clients: 'changed',
        grants: 'inserted',
        events: 'inserted',
      },
    },
    removeUnproved: {
      given: "UPDATE authorization_requests SET expires_at = 1 WHERE request_id = 'req_pending'",
      act: (store) => repeat(() => store.authorizationRequests.removeUnproved(now)),
      writes: { authorization_requests: 'deleted' },
    },
    complete: {
      act: (store) => store.authorizationRequests.complete('req_granted', later),
      writes: { authorization_requests: 'changed' },
    },
  },
  clientAssertions: {
    use: {
      act: (store) => store.clientAssertions.use('client_1', 'jti', later),
      writes: { client_assertions: 'inserted' },
    },
  },
  clients: {
    create: {
      act: (store) =>
        store.clients.create({ ...client, client_id: 'client_3' }, secret('client_3')),
      writes: { clients: 'inserted', secrets: 'inserted' },
    },
    saveDocument: [
      {
        act: (store) => store.clients.saveDocument({ ...stranger, client_id: 'https://c.example' }),
        writes: { clients: 'inserted' },
      },
      {
        given: `UPDATE remembered_approvals SET client_id = 'client_2';
          UPDATE authorization_requests SET client_id = 'client_2'`,
        act: (store) => store.clients.saveDocument({ ...stranger, client_name: 'Other' }),
        writes: { clients: 'changed', approvals: 'changed' },
      },
    ],
    update: [
      {
        given: tellsClient,
        act: (store) => store.clients.update('client_1', { disabled_at: later }, later),
        writes: {
          logout_notices: 'inserted',
          clients: 'changed',
          grants: 'changed',
          authorization_requests: 'deleted',
          approvals: 'deleted',
        },
      },
      {
        given: `${remembered};
          UPDATE remembered_approvals SET client_id = 'client_2';
          UPDATE authorization_requests SET client_id = 'client_2'`,
        act: (store) => store.clients.update('client_2', { client_name: 'Other' }, later),
        writes: { clients: 'changed', approvals: 'changed', remembered_approvals: 'deleted' },
      },
    ],
    editRedirectUris: {
      act: (store) =>
        store.clients.editRedirectUris(
          'client_1',
          { add: ['https://new.example/'], remove: [], limit: 10 },
          {},
          later,
        ),
      writes: { clients: 'changed' },
    },
    delete: {
      act: (store) => store.clients.delete('client_1'),
      writes: {
        clients: 'deleted',
        secrets: 'deleted',
        grants: 'deleted',
        authorization_requests: 'deleted',
        approvals: 'deleted',
      },
    },
    removeUnused: [
      {
        given: `UPDATE authorization_requests SET client_id = 'client_2', expires_at = 1;
          UPDATE grants SET client_id = 'client_2', expires_at = 1;
          INSERT INTO secrets VALUES ('client_2', '1', 'hash', 1, NULL)`,
        act: (store) =>
          repeat(() =>
            store.clients.removeUnused({ origin: 'dynamic', before: later, now: later }),
          ),
        writes: {
          clients: 'deleted',
          grants: 'deleted',
          authorization_requests: 'deleted',
          approvals: 'deleted',
          secrets: 'deleted',
        },
      },
      {
        given: "UPDATE grants SET client_id = 'client_2'",
        act: (store) =>
          repeat(() =>
            store.clients.removeUnused({ origin: 'dynamic', before: later, now: later }),
          ),
        writes: { clients: 'changed' },
      },
    ],
    removeUnproved: [
      {
        given: 'UPDATE clients SET unproved_until = 1 WHERE unproved_until IS NOT NULL',
        act: (store) => repeat(() => store.clients.removeUnproved(later)),
        writes: { clients: 'deleted' },
      },
      {
        given: `UPDATE clients SET unproved_until = 1 WHERE unproved_until IS NOT NULL;
          UPDATE grants SET client_id = 'client_2'`,
        act: (store) => repeat(() => store.clients.removeUnproved(later)),
        writes: { clients: 'changed' },
      },
      {
        given: `UPDATE clients SET unproved_until = 1 WHERE unproved_until IS NOT NULL;
          UPDATE authorization_requests SET client_id = 'client_2' WHERE grant_id IS NULL`,
        act: (store) => repeat(() => store.clients.removeUnproved(later)),
        writes: { clients: 'changed' },
      },
    ],
    replaceSecret: [
      {
        act: (store) => store.clients.replaceSecret(secret('client_1', '1', later), now, false),
        writes: { secrets: ['deleted', 'inserted'] },
      },
      {
        act: (store) => store.clients.replaceSecret(secret('client_2', '1', later), now, false),
        writes: { clients: 'changed', secrets: 'inserted' },
      },
      {
        act: (store) => store.clients.replaceSecret(secret('client_1', '1', later), now, true),
        writes: {
          clients: 'changed',
          secrets: ['deleted', 'inserted'],
          grants: 'changed',
          authorization_requests: 'deleted',
          approvals: 'deleted',
        },
      },
    ],
  },
  consents: {
    consent: [
      {
        given: consented,
        act: (store) =>
          store.consents.consent({
            ...personal,
            event,
            agent: { ...agent('agent_2'), owner_id: 'owner_1', email_verified: 0 },
            scope: 'openid',
            resource: null,
            remember: false,
            subject: '{}',
            proof: '{}',
          }),
        writes: {
          owner_sessions: 'changed',
          authorization_requests: 'changed',
          agents: 'inserted',
          grants: 'inserted',
          consent_proofs: 'inserted',
          events: 'inserted',
        },
      },
      {
        given: consented,
        act: (store) =>
          store.consents.consent({
            ...personal,
            event,
            agent: 'agent_1',
            scope: 'openid',
            resource: null,
            remember: true,
            subject: '{}',
            proof: '{}',
          }),
        writes: {
          owner_sessions: 'changed',
          authorization_requests: 'changed',
          grants: 'inserted',
          consent_proofs: 'inserted',
          remembered_consents: ['deleted', 'inserted'],
          events: 'inserted',
        },
      },
    ],
    signInSilently: {
      given: consented,
      act: async (store) => {
        const [consent] = await store.consents.listRemembered('owner_1')
        if (consent) await store.consents.signInSilently({ ...personal, event, consent })
      },
      writes: {
        authorization_requests: 'changed',
        grants: 'inserted',
        events: 'inserted',
      },
    },
    deny: {
      act: (store) => store.consents.deny('req_pending', now, event),
      writes: { authorization_requests: 'changed', events: 'inserted' },
    },
    forget: {
      given: consented,
      act: (store) => store.consents.forget('owner_1', 'client_1'),
      writes: { remembered_consents: 'deleted' },
    },
  },
  events: {
    record: {
      act: (store) => store.events.record(event),
      writes: { events: 'inserted' },
    },
  },
  grants: {
    redeemCode: [
      {
        act: (store) => redeemCode(store, 'req_granted', 'grant_code'),
        writes: { authorization_requests: 'changed', grants: 'changed' },
      },
      {
        act: (store) => redeemCode(store, 'req_redeemed', 'grant_1'),
        writes: { grants: 'changed' },
      },
    ],
    rotate: [
      { act: (store) => rotate(store, 0), writes: { grants: 'changed' } },
      {
        given: "UPDATE grants SET refresh_generation = 5 WHERE grant_id = 'grant_1'",
        act: (store) => rotate(store, 0),
        writes: { grants: 'changed' },
      },
    ],
    revoke: {
      given: tellsClient,
      act: (store) => store.grants.revoke('grant_1', later),
      writes: { grants: 'changed', logout_notices: 'inserted' },
    },
    stop: [
      {
        given: `${owned}; ${remembered}`,
        act: (store) => store.grants.stop({ owner_id: 'owner_1' }, true, event),
        writes: {
          grants: 'changed',
          approvals: 'changed',
          remembered_approvals: 'deleted',
          events: 'inserted',
        },
      },
      {
        given: `${owned}; ${remembered}`,
        act: (store) =>
          store.grants.stop({ owner_id: 'owner_1', client_id: 'client_1' }, false, event),
        writes: { grants: 'changed', approvals: 'changed', events: 'inserted' },
      },
      {
        given: `${owned}; ${remembered}`,
        act: (store) =>
          store.grants.stop({ owner_id: 'owner_1', grant_id: 'grant_1' }, true, event),
        writes: { grants: 'changed', remembered_approvals: 'deleted', events: 'inserted' },
      },
      {
        given: owned,
        act: (store) =>
          store.grants.stop({ owner_id: 'owner_2', grant_id: 'grant_1' }, true, event),
        writes: {},
      },
    ],
    revokeAccessToken: {
      act: (store) => store.grants.revokeAccessToken('jti', later),
      writes: { revoked_access_tokens: 'inserted' },
    },
  },
  initialAccessTokens: {
    create: {
      act: (store) =>
        store.initialAccessTokens.create({
          token_id: 'iat_1',
          token_hash: 'hash',
          name: null,
          created_at: now,
          expires_at: null,
        }),
      writes: { initial_access_tokens: 'inserted' },
    },
    delete: {
      given: "INSERT INTO initial_access_tokens VALUES ('iat_1', 'hash', NULL, 1, NULL)",
      act: (store) => store.initialAccessTokens.delete('iat_1'),
      writes: { initial_access_tokens: 'deleted' },
    },
  },
  maintenance: {
    sweep: Object.entries(expired).map(([kind, scenario]) => ({
      ...scenario,
      act: (store: Store) => repeat(() => store.maintenance.sweep(kind as Expiring, now)),
    })),
  },
  logoutNotices: {
    claim: {
      given: noticed,
      act: (store) => store.logoutNotices.claim(now, later, 10),
      writes: { logout_notices: 'changed' },
    },
    postpone: {
      given: noticed,
      act: (store) => store.logoutNotices.postpone('grant_old', later, 1),
      writes: { logout_notices: 'changed' },
    },
    delete: {
      given: noticed,
      act: (store) => store.logoutNotices.delete('grant_old'),
      writes: { logout_notices: 'deleted' },
    },
  },
  owners: {
    create: [
      {
        act: (store) => store.owners.create(owner('owner_1')),
        writes: { owners: 'inserted' },
      },
      {
        act: (store) => store.owners.create(owner('owner_1', true)),
        writes: { owners: 'inserted', agents: 'changed' },
      },
    ],
    update: [
      {
        given: person,
        act: (store) => store.owners.update('owner_1', { operator: true }),
        writes: { owners: 'changed' },
      },
      {
        given: person,
        act: (store) => store.owners.update('owner_1', { email_verified: true }),
        writes: { owners: 'changed', agents: 'changed' },
      },
      {
        given: `${consented}; UPDATE grants SET owner_id = 'owner_1'`,
        act: (store) => store.owners.update('owner_1', { disabled_at: later }),
        writes: { owners: 'changed', grants: 'changed', remembered_consents: 'deleted' },
      },
    ],
    changeGuarded: [
      {
        given: signedIn,
        act: (store) =>
          store.owners.changeGuarded(
            'owner_1',
            { disabled_at: now },
            guard,
            { agents: false, now },
            event,
          ),
        writes: { owners: 'changed', owner_sessions: 'deleted', events: 'inserted' },
      },
      {
        given: `${person}; UPDATE agents SET owner_id = 'owner_1'`,
        act: (store) =>
          store.owners.changeGuarded(
            'owner_1',
            { disabled_at: now },
            guard,
            { agents: true, now },
            event,
          ),
        writes: {
          owners: 'changed',
          agents: 'changed',
          grants: 'changed',
          approvals: 'changed',
          events: 'inserted',
        },
      },
    ],
    changeMailSignIn: {
      given: passkeyRow,
      act: (store) => store.owners.changeMailSignIn('owner_1', false, guard, event),
      writes: { owners: 'changed', events: 'inserted' },
    },
    delete: [
      {
        given: signedIn,
        act: (store) => store.owners.delete('owner_1', guard, { agents: false }, event),
        writes: { owners: 'deleted', owner_sessions: 'deleted', events: 'inserted' },
      },
      {
        given: owned,
        act: (store) => store.owners.delete('owner_1', guard, { agents: false }, event),
        writes: { owners: 'deleted', agents: 'changed', events: 'inserted' },
      },
      {
        given: owned,
        act: (store) => store.owners.delete('owner_1', guard, { agents: true }, event),
        writes: {
          owners: 'deleted',
          agents: 'deleted',
          secrets: 'deleted',
          agent_keys: 'deleted',
          approvals: 'deleted',
          approval_askings: 'deleted',
          grants: 'deleted',
          events: 'inserted',
        },
      },
    ],
  },
  ownerInvitations: {
    invite: [
      {
        act: (store) =>
          store.ownerInvitations.invite(
            owner('owner_1', true),
            { token_hash: 'token_2', verifies_email: 0, created_at: now, expires_at: later },
            event,
          ),
        writes: {
          owners: 'inserted',
          agents: 'changed',
          owner_invitations: 'inserted',
          events: 'inserted',
        },
      },
      {
        given: invitation,
        act: (store) =>
          store.ownerInvitations.invite(
            { ...owner('owner_2'), operator: true },
            { token_hash: 'token_2', verifies_email: 0, created_at: now, expires_at: later },
            event,
          ),
        writes: {
          owners: 'changed',
          owner_invitations: ['deleted', 'inserted'],
          events: 'inserted',
        },
      },
    ],
    accept: {
      given: invitation,
      act: (store) => store.ownerInvitations.accept('token_1', now, { passkey, limit: 1 }, event),
      writes: {
        owners: 'changed',
        agents: 'changed',
        passkeys: 'inserted',
        owner_invitations: 'deleted',
        events: 'inserted',
      },
    },
  },
  ownerMailCodes: {
    ask: [
      {
        act: (store) => store.ownerMailCodes.ask(mailCode('mail_2'), codeBounds, false),
        writes: { owner_mail_codes: 'inserted' },
      },
      {
        given: mailCodeRow,
        act: (store) => store.ownerMailCodes.ask(mailCode('mail_2'), codeBounds, false),
        writes: { owner_mail_codes: ['changed', 'inserted'] },
      },
    ],
    verify: [
      {
        given: mailCodeRow,
        act: verifyCode,
        writes: {
          owner_mail_codes: 'changed',
          owners: 'inserted',
          agents: 'changed',
          events: 'inserted',
        },
      },
      {
        given: `${person}; ${mailCodeRow}`,
        act: verifyCode,
        writes: { owner_mail_codes: 'changed', owners: 'changed', agents: 'changed' },
      },
    ],
  },
  ownerSessions: {
    start: [
      {
        given: person,
        act: (store) => store.ownerSessions.start(session('session_2')),
        writes: { owner_sessions: 'inserted' },
      },
      {
        given: signedIn,
        act: (store) => store.ownerSessions.start(session('session_2'), 'session_1'),
        writes: { owner_sessions: ['deleted', 'inserted'] },
      },
    ],
    touch: {
      given: signedIn,
      act: (store) => store.ownerSessions.touch('session_1', now),
      writes: { owner_sessions: 'changed' },
    },
    prove: {
      given: signedIn,
      act: (store) => store.ownerSessions.prove('session_1', now, true),
      writes: { owner_sessions: 'changed' },
    },
    end: {
      given: signedIn,
      act: (store) => store.ownerSessions.end('owner_1', 'session_1'),
      writes: { owner_sessions: 'deleted' },
    },
    endAll: {
      given: signedIn,
      act: (store) => store.ownerSessions.endAll('owner_1'),
      writes: { owner_sessions: 'deleted' },
    },
  },
  passkeys: {
    addChallenge: {
      given: person,
      act: (store) =>
        store.passkeys.addChallenge(
          {
            challenge_hash: 'challenge_2',
            purpose: 'confirm',
            owner_id: 'owner_1',
            subject: null,
            expires_at: later,
          },
          now,
          1,
        ),
      writes: { passkey_challenges: 'inserted' },
    },
    takeChallenge: {
      given: challenge,
      act: (store) => store.passkeys.takeChallenge('challenge_1', now),
      writes: { passkey_challenges: 'deleted' },
    },
    add: {
      given: person,
      act: (store) => store.passkeys.add(passkey, 1, event),
      writes: { passkeys: 'inserted', events: 'inserted' },
    },
    use: {
      given: passkeyRow,
      act: (store) => store.passkeys.use('passkey_1', 1, later),
      writes: { passkeys: 'changed' },
    },
    rename: {
      given: passkeyRow,
      act: (store) => store.passkeys.rename('owner_1', 'passkey_1', 'Key'),
      writes: { passkeys: 'changed' },
    },
    remove: {
      given: passkeyRow,
      act: (store) => store.passkeys.remove('owner_1', 'passkey_1', guard, event),
      writes: { passkeys: 'deleted', events: 'inserted' },
    },
  },
  policies: {
    changeOfAgent: [
      {
        act: (store) => store.policies.changeOfAgent('agent_1', { allowed_sites: ['x'] }, event),
        writes: { agent_policies: 'inserted', agent_sites: 'inserted', events: 'inserted' },
      },
      {
        given: "INSERT INTO agent_sites VALUES ('agent_1', 'old', 1)",
        act: (store) => store.policies.changeOfAgent('agent_1', { allowed_sites: ['x'] }, event),
        writes: {
          agent_policies: 'inserted',
          agent_sites: ['deleted', 'inserted'],
          events: 'inserted',
        },
      },
    ],
    forget: {
      given: remembered,
      act: (store) => store.policies.forget('agent_1', 'client_1', event),
      writes: { remembered_approvals: 'deleted', events: 'inserted' },
    },
    changeOfClient: {
      act: (store) => store.policies.changeOfClient('client_1', {}, event),
      writes: { client_policies: 'inserted', events: 'inserted' },
    },
  },
  remoteDocuments: {
    save: [
      {
        act: (store) => store.remoteDocuments.save(document('https://x.example/')),
        writes: { remote_documents: 'inserted' },
      },
      {
        act: (store) => store.remoteDocuments.save(document('client_1')),
        writes: { remote_documents: 'inserted' },
      },
      {
        given: "INSERT INTO remote_documents VALUES ('https://x.example/', '', 1, 1, 1, NULL)",
        act: (store) => store.remoteDocuments.save(document('https://x.example/')),
        writes: { remote_documents: 'changed' },
      },
    ],
    removeUnproved: {
      given: `INSERT INTO remote_documents VALUES ('https://x.example/', '', 1, 1, 1, 1);
        INSERT INTO remote_documents VALUES ('client_1', '', 1, 1, 1, 1)`,
      act: (store) => repeat(() => store.remoteDocuments.removeUnproved(now)),
      writes: { remote_documents: ['changed', 'deleted'] },
    },
  },
  resources: {
    create: {
      act: (store) => store.resources.create(resource('rs_2'), secret('rs_2')),
      writes: { resources: 'inserted', secrets: 'inserted' },
    },
    update: {
      act: (store) => store.resources.update('rs_1', { scopes: [] }),
      writes: { resources: 'changed' },
    },
    delete: {
      act: (store) => store.resources.delete('rs_1'),
      writes: { resources: 'deleted', secrets: 'deleted' },
    },
    replaceSecret: {
      act: (store) => store.resources.replaceSecret(secret('rs_1', '1'), later),
      writes: { secrets: ['changed', 'inserted'] },
    },
  },
  signingKeys: {
    createFirst: {
      act: (store) => store.signingKeys.createFirst(signingKey('kid_2', 'RS256')),
      writes: { signing_keys: 'inserted' },
    },
    succeed: {
      act: (store) =>
        store.signingKeys.succeed(signingKey('kid_2', 'ES256'), { kid: 'kid_1', remove_at: later }),
      writes: { signing_keys: ['changed', 'inserted'] },
    },
  },
}

type Rows = Map<string, string>

/** Every row of every table, by its primary key. */
function readAll(database: Database.Database): Map<string, Rows> {
  const tables = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'kysely*'")
    .pluck()
    .all() as string[]
  return new Map(
    tables.map((table) => {
      const columns = database.pragma(`table_info(${table})`) as { name: string; pk: number }[]
      const keys = columns.filter(({ pk }) => pk > 0).map(({ name }) => name)
      const rows = database.prepare(`SELECT * FROM ${table}`).all() as Record<string, unknown>[]
      const entries = rows.map((row): [string, string] => [
        JSON.stringify(keys.map((name) => row[name])),
        JSON.stringify(row),
      ])
      return [table, new Map(entries)]
    }),
  )
}

function compare(before: Map<string, Rows>, after: Map<string, Rows>): Record<string, Change[]> {
  const changes: Record<string, Change[]> = {}
  for (const [table, rows] of after) {
    const old = before.get(table) ?? new Map()
    const kinds = new Set<Change>()
    for (const [key, row] of rows) {
      if (!old.has(key)) kinds.add('inserted')
      else if (old.get(key) !== row) kinds.add('changed')
    }
    for (const key of old.keys()) if (!rows.has(key)) kinds.add('deleted')
    if (kinds.size > 0) changes[table] = [...kinds].sort()
  }
  return changes
}

t.test('every act that writes has written', async (t) => {
  const folder = makeFolder(t)
  const filled = join(folder, 'filled.db')
  const store = await openStore(`sqlite:${filled}`)
  await fill(store)
  store.close()

  for (const [noun, acts] of Object.entries(scenarios)) {
    for (const [name, rows] of Object.entries<Scenario | Scenario[]>(acts)) {
      for (const [index, { given, act, writes }] of [rows].flat().entries()) {
        const title = `${noun}.${name}, ${index + 1}`
        const file = join(folder, `${title}.db`)
        copyFileSync(filled, file)
        const database = new Database(file)
        database.exec(given ?? '')
        const before = readAll(database)
        const store = await openStore(`sqlite:${file}`)
        await act(store)
        store.close()
        const expected = Object.fromEntries(
          Object.entries(writes).map(([table, kinds]) => [table, [kinds].flat().sort()]),
        )
        t.same(compare(before, readAll(database)), expected, title)
        database.close()
      }
    }
  }
})
