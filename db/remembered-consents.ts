import { redirectHost } from '../schemas/client.ts'
import { covers, type ShownRequest } from './remembered-approvals.ts'
import { type Act, all, db } from './statement.ts'
import type { RememberedConsentRow } from './tables.ts'

export type RememberedConsent = RememberedConsentRow

/** The newest first, by the index on owner and client. */
export function* findRememberedConsents(
  owner_id: string,
  client_id?: string,
): Act<RememberedConsent[]> {
  let query = db.selectFrom('remembered_consents').selectAll().where('owner_id', '=', owner_id)
  if (client_id !== undefined) query = query.where('client_id', '=', client_id)
  return yield* all(query.orderBy('created_at', 'desc').orderBy('grant_id').compile())
}

/** Remembers what was shown; what it covers, of the same agent, need not be remembered beside it. */
export function* rememberConsent(
  request: ShownRequest,
  facts: Omit<RememberedConsent, 'client_id' | 'redirect_host' | 'scope' | 'resource'>,
): Act<void> {
  const { client_id, redirect_uri, scope, resource } = request
  const consent = {
    client_id,
    redirect_host: redirectHost(redirect_uri),
    scope,
    resource,
    ...facts,
  }
  for (const older of yield* findRememberedConsents(facts.owner_id, client_id)) {
    if (older.agent_id !== facts.agent_id || !covers(consent, older)) continue
    yield db.deleteFrom('remembered_consents').where('grant_id', '=', older.grant_id).compile()
  }
  yield db.insertInto('remembered_consents').values(consent).compile()
}

export function* forgetConsentsOfAgent(agent_id: string): Act<void> {
  yield* forgetConsentsAt(agent_id)
}

/** Forgets what was consented to as an agent, at one website or at all. */
export function* forgetConsentsAt(agent_id: string, client_id?: string): Act<void> {
  let query = db.deleteFrom('remembered_consents').where('agent_id', '=', agent_id)
  if (client_id !== undefined) query = query.where('client_id', '=', client_id)
  yield query.compile()
}

export function* forgetConsentsOfClient(client_id: string): Act<void> {
  yield db.deleteFrom('remembered_consents').where('client_id', '=', client_id).compile()
}

export function* forgetConsentsOfOwner(owner_id: string): Act<void> {
  yield db.deleteFrom('remembered_consents').where('owner_id', '=', owner_id).compile()
}
