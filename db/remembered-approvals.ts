import { redirectHost } from '../schemas/client.ts'
import { type Act, all, db, statement } from './statement.ts'
import type { AuthorizationRequestRow, RememberedApprovalRow } from './tables.ts'

export type RememberedApproval = RememberedApprovalRow

/** The part of a request that its owner is shown and that is remembered. */
export type ShownRequest = Pick<
  AuthorizationRequestRow,
  'client_id' | 'redirect_uri' | 'scope' | 'resource'
>

/** By the index on agent and client. */
const rememberedForClient = statement<{ agent_id: string; client_id: string }>()((p) =>
  db
    .selectFrom('remembered_approvals')
    .selectAll()
    .where('agent_id', '=', p.agent_id)
    .where('client_id', '=', p.client_id),
)

/** Whether all that a request shows was approved before, in one answer. */
export function* isRemembered(agent_id: string, request: ShownRequest): Act<boolean> {
  const remembered = yield* all(rememberedForClient({ agent_id, client_id: request.client_id }))
  const shown = { ...request, redirect_host: redirectHost(request.redirect_uri) }
  return remembered.some((approval) => covers(approval, shown))
}

/** Remembers what was shown; what it covers need not be remembered beside it. */
export function* rememberApproval(
  request: ShownRequest,
  { agent_id, grant_id, now }: { agent_id: string; grant_id: string; now: number },
): Act<void> {
  const { client_id, redirect_uri, scope, resource } = request
  const approval = { client_id, redirect_host: redirectHost(redirect_uri), scope, resource }
  for (const older of yield* all(rememberedForClient({ agent_id, client_id }))) {
    if (!covers(approval, older)) continue
    yield db.deleteFrom('remembered_approvals').where('grant_id', '=', older.grant_id).compile()
  }
  yield db
    .insertInto('remembered_approvals')
    .values({ ...approval, agent_id, grant_id, created_at: now })
    .compile()
}

export function* forgetApprovalsOfAgent(agent_id: string): Act<void> {
  yield db.deleteFrom('remembered_approvals').where('agent_id', '=', agent_id).compile()
}

/** Those of an agent at one website, or at all. */
export function* forgetApprovals(agent_id: string, client_id?: string): Act<void> {
  if (client_id === undefined) return yield* forgetApprovalsOfAgent(agent_id)
  yield db
    .deleteFrom('remembered_approvals')
    .where('agent_id', '=', agent_id)
    .where('client_id', '=', client_id)
    .compile()
}

export function* forgetApprovalsOfClient(client_id: string): Act<void> {
  yield db.deleteFrom('remembered_approvals').where('client_id', '=', client_id).compile()
}

/** The newest last. */
export function* listRemembered(agent_id: string): Act<RememberedApproval[]> {
  return yield* all(
    db
      .selectFrom('remembered_approvals')
      .selectAll()
      .where('agent_id', '=', agent_id)
      .orderBy('created_at')
      .orderBy('grant_id')
      .compile(),
  )
}

type Shown = Pick<RememberedApproval, 'redirect_host' | 'scope' | 'resource'>

export function covers(approval: Shown, other: Shown): boolean {
  return (
    approval.redirect_host === other.redirect_host &&
    includesAll(approval.scope.split(' '), other.scope.split(' ')) &&
    includesAll(resourcesOf(approval), resourcesOf(other))
  )
}

function resourcesOf({ resource }: Shown): string[] {
  return resource === null ? [] : JSON.parse(resource)
}

function includesAll(all: string[], some: string[]): boolean {
  return some.every((each) => each === '' || all.includes(each))
}
