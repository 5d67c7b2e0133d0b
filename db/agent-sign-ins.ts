import { endApprovalsOfAgent } from './approvals.ts'
import { noticeLogouts } from './logout-notices.ts'
import { forgetApprovalsOfAgent } from './remembered-approvals.ts'
import { forgetConsentsOfAgent } from './remembered-consents.ts'
import { type Act, db } from './statement.ts'

/** Ends every sign-in of an agent, those that it has asked approval for, and what is consented to. */
export function* endSignIns(agent_id: string, now: number): Act<void> {
  yield* noticeLogouts({ agent_id }, now)
  yield db
    .updateTable('grants')
    .set({ revoked_at: now })
    .where('agent_id', '=', agent_id)
    .where('revoked_at', 'is', null)
    .compile()
  yield* endApprovalsOfAgent(agent_id)
  yield* forgetConsentsOfAgent(agent_id)
}

/** Ends all that a stolen secret or key may have obtained: grants, approvals, remembered approvals. */
export function* endCompromised(agent_id: string, now: number): Act<void> {
  yield* endSignIns(agent_id, now)
  yield* forgetApprovalsOfAgent(agent_id)
}
