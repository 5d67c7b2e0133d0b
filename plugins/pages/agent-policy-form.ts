import { html } from 'ghtml'
import type { AgentPolicy } from '../../schemas/policy.ts'
import { choice, type Field, lines, yesOrNo } from './fields.ts'

type PolicyFields = { [Name in keyof AgentPolicy]: Field<AgentPolicy[Name]> }

/** Every member of an agent's policy: one that is added has to be described here. */
export const policyFields: PolicyFields = {
  sites: choice('Where it may sign in', {
    registered:
      'Websites that the operator of this server registered; you are asked about any other',
    any: 'Any website, without asking you',
    ask: 'You are asked about every website that is not on the list of those always allowed',
    list: 'The websites that are always allowed, and no other',
  }),
  allowed_sites: lines(
    'Websites that are always allowed',
    'One a line: a host, such as shop.example, or a client_id',
    'none',
  ),
  remember_sites: yesOrNo(
    'What you approve',
    'What you approve is allowed from then on, and nothing more',
    'what you approve is allowed from then on',
    'you are asked every time',
  ),
  deliver: choice('Who receives the code that completes a sign-in', {
    any: 'The browser that opened the sign-in, or the agent, as the agent says',
    agent: 'The agent alone: nobody can have it complete a sign-in that it did not open itself',
  }),
  secret: choice('Whether its secret counts', {
    allow: 'It may prove itself by its secret or by a key',
    forbid: 'Only by a key; its secret is refused',
  }),
  approval: choice('How you approve', {
    mail: 'With the code of a mail, or with your passkey here',
    passkey: 'With your passkey here and in no other way: no code is made or mailed',
  }),
  allowed_models: lines(
    'Models that may act',
    'One a line: a name, or its beginning with * at the end. Nothing here means every model',
    'every model',
  ),
  refused_models: lines(
    'Models that may not act',
    'The same. What stands here is refused even if the list above allows it',
    'none',
  ),
}

type Name = keyof AgentPolicy
const names = Object.keys(policyFields) as Name[]

/** What a policy form sends: every member, as text. */
export type PolicyForm = Partial<Record<Name, string>>

/** The parts of a form that changes a policy. */
export function policyInputs(policy: AgentPolicy): string {
  return names.map((name) => toInput(name, policy)).join('\n')
}

/** @throws {OAuthError} invalid_request */
export function readPolicy(form: PolicyForm): Partial<AgentPolicy> {
  const entries = names.map((name) => [name, policyFields[name].read(form[name])])
  return Object.fromEntries(entries)
}

/** A policy in a person's words, as rows of a `dl`. */
export function policyRows(policy: AgentPolicy): string {
  return names
    .map(
      (name) =>
        html`<div><dt>${policyFields[name].label}</dt><dd>${describe(name, policy)}</dd></div>`,
    )
    .join('\n')
}

function toInput<N extends Name>(name: N, policy: AgentPolicy): string {
  const field: PolicyFields[N] = policyFields[name]
  return field.toInput(name, policy[name])
}

function describe<N extends Name>(name: N, policy: AgentPolicy): string {
  const field: PolicyFields[N] = policyFields[name]
  return field.describe(policy[name])
}
