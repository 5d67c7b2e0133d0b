import type { Agent } from '../core/core.ts'
import { FieldSet, text, textOrNull, yesOrNo } from './fields.ts'

/** What an operator can change of an agent, beside its policy. */
export type AgentValues = Pick<Agent, 'email' | 'email_verified' | 'name'>

export const agentFields = new FieldSet<AgentValues>({
  email: text("Owner's e-mail address", { type: 'email', hint: 'Websites are told it' }),
  email_verified: yesOrNo(
    'Whose address it is',
    'You vouch that the address belongs to the owner: websites are told so',
    'you vouch for it',
    'you do not vouch for it',
  ),
  name: textOrNull('Name', 'none', { hint: 'What you call it' }),
})
