import { redirectHost } from '../schemas/client.ts'
import {
  type AuthorizationRequest,
  bindRequest,
  insertGrant,
  reads as requests,
  standing,
} from './authorization-requests.ts'
import { proveClient } from './clients.ts'
import { recordEvent } from './events.ts'
import { covers, type ShownRequest } from './remembered-approvals.ts'
import {
  findRememberedConsents,
  type RememberedConsent,
  rememberConsent,
} from './remembered-consents.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { AgentRow, ConsentProofRow, EventRow, GrantRow } from './tables.ts'

/** Who signs in, and how: what a person's grant has from the person's session. */
interface PersonalSignIn
  extends Pick<GrantRow, 'grant_id' | 'amr' | 'acr' | 'ends_at' | 'refreshable'> {
  request_id: string
  owner_id: string
  /** Of the browser in which the owner is signed in. */
  session_hash: string
  now: number
  code_expires_at: number
  event: EventRow
}

/** What an owner agreed to by a passkey, for one request. */
export interface Consent extends PersonalSignIn, Pick<ConsentProofRow, 'subject' | 'proof'> {
  /** The owner's agent, or the row of one to make. */
  agent: string | AgentRow
  /** What of the request is granted. */
  scope: string
  /** As on the request. */
  resource: string | null
  /** Whether later sign-ins of the kind need no page. */
  remember: boolean
}

export interface SilentSignIn extends PersonalSignIn {
  consent: RememberedConsent
}

export type ConsentOutcome =
  | { outcome: 'authenticated'; request: AuthorizationRequest; agent_id: string }
  | {
      outcome: 'unknown' | 'expired' | 'settled_before' | 'signed_out' | 'agent_gone' | 'forgotten'
    }

/** The owner proved to be there: in a session that has not ended, of an owner who is not disabled. */
const proveSession = statement<{ session_hash: string; owner_id: string; now: number }>()((p) =>
  db
    .updateTable('owner_sessions')
    .set({ authenticated_at: p.now })
    .where('session_hash', '=', p.session_hash)
    .where('owner_id', '=', (eb) =>
      eb
        .selectFrom('owners')
        .select('owner_id')
        .where('owner_id', '=', p.owner_id)
        .where('disabled_at', 'is', null),
    )
    .where('expires_at', '>', p.now)
    .returning('authenticated_at'),
)

const liveSession = statement<{ session_hash: string; owner_id: string; now: number }>()((p) =>
  db
    .selectFrom('owner_sessions')
    .select('authenticated_at')
    .where('session_hash', '=', p.session_hash)
    .where('owner_id', '=', (eb) =>
      eb
        .selectFrom('owners')
        .select('owner_id')
        .where('owner_id', '=', p.owner_id)
        .where('disabled_at', 'is', null),
    )
    .where('expires_at', '>', p.now),
)

const ownAgent = statement<{ agent_id: string; owner_id: string }>()((p) =>
  db
    .selectFrom('agents')
    .select('agent_id')
    .where('agent_id', '=', p.agent_id)
    .where('owner_id', '=', p.owner_id)
    .where('disabled_at', 'is', null),
)

const clientSubject = statement<{ client_id: string }>()((p) =>
  db.selectFrom('clients').select('subject').where('client_id', '=', p.client_id),
)

const narrowRequest = statement<{ request_id: string; scope: string; resource: string | null }>()(
  (p) =>
    db
      .updateTable('authorization_requests')
      .set({ scope: p.scope, resource: p.resource })
      .where('request_id', '=', p.request_id)
      .returningAll(),
)

const markDenied = statement<{ request_id: string; now: number }>()((p) =>
  db
    .updateTable('authorization_requests')
    .set({ denied_at: p.now })
    .where('request_id', '=', p.request_id)
    .where('grant_id', 'is', null)
    .where('denied_at', 'is', null)
    .where('expires_at', '>', p.now)
    .returningAll(),
)

function* whyNotBound(request_id: string, now: number): Act<ConsentOutcome> {
  const found = yield* requests.find(request_id)
  if (found === undefined) return { outcome: 'unknown' }
  return { outcome: standing(found, now) === 'expired' ? 'expired' : 'settled_before' }
}

/** Makes the grant of a request that is bound, and puts it on record. */
function* grantTo(
  signIn: PersonalSignIn,
  { client_id, scope, resource }: AuthorizationRequest,
  agent_id: string,
  auth_time: number,
): Act<void> {
  const { owner_id, now } = signIn
  const client = yield* one(clientSubject({ client_id }))
  const { grant_id, amr, acr, ends_at, refreshable } = signIn
  yield insertGrant({
    grant_id,
    client_id,
    agent_id,
    model: '',
    scope,
    resource,
    amr,
    owner_id,
    subject: client?.subject === 'owner' ? owner_id : null,
    auth_time,
    acr,
    ends_at,
    refreshable,
    created_at: now,
    expires_at: signIn.code_expires_at,
  })
  yield* proveClient(client_id)
  yield* recordEvent({ ...signIn.event, agent_id, client_id })
}

export const reads = {
  /** The newest consent that covers all that a request asks for, as the agent that `hinted_sub` allows. */
  *findRemembered(
    owner_id: string,
    request: ShownRequest,
    hinted_sub: string | null,
    now: number,
  ): Act<RememberedConsent | undefined> {
    const { client_id, redirect_uri } = request
    const shown = { ...request, redirect_host: redirectHost(redirect_uri) }
    const isHinted = ({ agent_id }: RememberedConsent) =>
      hinted_sub === null || hinted_sub === agent_id || hinted_sub === owner_id
    for (const consent of yield* findRememberedConsents(owner_id, client_id)) {
      if (consent.ends_at !== null && consent.ends_at <= now) continue
      if (!isHinted(consent) || !covers(consent, shown)) continue
      const agent_id = consent.agent_id
      if ((yield* one(ownAgent({ agent_id, owner_id }))) !== undefined) return consent
    }
    return undefined
  },

  /** What an owner wants to be remembered, the newest first. */
  *listRemembered(owner_id: string): Act<RememberedConsent[]> {
    return yield* findRememberedConsents(owner_id)
  },

  /** That a person consented to a grant. */
  *findProof(grant_id: string): Act<ConsentProofRow | undefined> {
    return yield* one(
      db.selectFrom('consent_proofs').selectAll().where('grant_id', '=', grant_id).compile(),
    )
  },
}

export const writes = {
  /**
   * Signs in as the owner agreed: of those who race for the request, an agent or another page, one
   * succeeds. The new agent, the proof and what is remembered come with it or not at all.
   */
  *consent(consent: Consent): Act<ConsentOutcome> {
    const { request_id, owner_id, grant_id, agent, now, scope, resource } = consent
    if ((yield* one(proveSession(consent))) === undefined) return { outcome: 'signed_out' }
    const agent_id = typeof agent === 'string' ? agent : agent.agent_id
    if (typeof agent === 'string' && (yield* one(ownAgent({ agent_id, owner_id }))) === undefined) {
      return { outcome: 'agent_gone' }
    }
    const bound = yield* one(bindRequest({ ...consent, deliver: 'owner' }))
    if (bound === undefined) return yield* whyNotBound(request_id, now)
    if (typeof agent !== 'string') yield db.insertInto('agents').values(agent).compile()
    const request = (yield* one(narrowRequest({ request_id, scope, resource }))) ?? bound
    yield* grantTo(consent, request, agent_id, now)
    const { subject, proof, ends_at } = consent
    yield db.insertInto('consent_proofs').values({ grant_id, subject, proof }).compile()
    if (consent.remember) {
      yield* rememberConsent(request, {
        grant_id,
        owner_id,
        agent_id,
        subject,
        proof,
        created_at: now,
        ends_at,
      })
    }
    return { outcome: 'authenticated', request, agent_id }
  },

  /** Signs in by a consent that was remembered and still is, in a session that has not ended. */
  *signInSilently(signIn: SilentSignIn): Act<ConsentOutcome> {
    const { request_id, owner_id, now, consent } = signIn
    const session = yield* one(liveSession(signIn))
    if (session === undefined) return { outcome: 'signed_out' }
    const { agent_id, client_id } = consent
    const remembered = yield* findRememberedConsents(owner_id, client_id)
    if (!remembered.some(({ grant_id }) => grant_id === consent.grant_id)) {
      return { outcome: 'forgotten' }
    }
    if ((yield* one(ownAgent({ agent_id, owner_id }))) === undefined) {
      return { outcome: 'agent_gone' }
    }
    const request = yield* one(bindRequest({ ...signIn, deliver: 'owner' }))
    if (request === undefined) return yield* whyNotBound(request_id, now)
    yield* grantTo(signIn, request, agent_id, session.authenticated_at)
    return { outcome: 'authenticated', request, agent_id }
  },

  /** Refuses a pending request, which then cannot be authenticated. Undefined where it is not pending. */
  *deny(request_id: string, now: number, event: EventRow): Act<AuthorizationRequest | undefined> {
    const request = yield* one(markDenied({ request_id, now }))
    if (request === undefined) return undefined
    yield* recordEvent({ ...event, client_id: request.client_id })
    return request
  },

  /** Forgets what an owner consented to of a client, or of all. Tells how many consents there were. */
  *forget(owner_id: string, client_id?: string): Act<number> {
    let query = db.deleteFrom('remembered_consents').where('owner_id', '=', owner_id)
    if (client_id !== undefined) query = query.where('client_id', '=', client_id)
    return (yield* all(query.returning('grant_id').compile())).length
  },
}
