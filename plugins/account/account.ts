import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import type { SignInDescription } from '../../schemas/sign-in-description.ts'
import type { Agent } from '../core/core.ts'
import type { SignedIn } from '../core/persons/sessions.ts'
import type { LivingSignIn } from '../core/sign-in/own-sign-ins.ts'
import { sendFramed } from '../pages/frame.ts'
import { hostsOf } from '../pages/living-sign-in.ts'
import { agentName, websiteName } from '../pages/names.ts'
import { toQuery } from '../pages/pager.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

/** How many sign-ins and agents are shown at a glance. */
const GLANCE = 5
/** How far refusals are looked back for, in seconds, and in how many sign-ins. */
const REFUSALS = { within: 7 * 86_400, among: 100 }

/** GET /account: the owner's own things at a glance. */
const account: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.get('/account', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOwner(request)
    const { owner_id } = signedIn.owner
    const agents = await app.store.agents.listOfOwner(owner_id)
    const [open, signIns, attention] = await Promise.all([
      app.approvals.listOpen(owner_id),
      app.ownSignIns.list(owner_id, { limit: GLANCE }),
      findAttention(signedIn, agents),
    ])
    return sendFramed(app, reply, {
      title: 'Your account',
      signedIn,
      section: 'account',
      main: html`!${waiting(open)}
!${attention.length === 0 ? '' : html`<h2>Worth a look</h2><ul>!${attention.map((each) => `<li>${each}</li>`).join('\n')}</ul>`}
<h2>Latest sign-ins</h2>
!${signIns.length === 0 ? '<p>No agent is signed in anywhere.</p>' : html`<ul class="plain">!${signIns.map((each) => toLine(each, agents)).join('\n')}</ul><p><a href="account/sign-ins">All sign-ins, and how to stop them</a></p>`}
<h2>Your agents</h2>
<p>${count(agents.length)} yours.</p>
<ul class="plain">!${agents
        .slice(0, GLANCE)
        .map(
          (agent) =>
            html`<li><a href="account/agents/${agent.agent_id}"><bdi>${agentName(agent)}</bdi></a>!${agent.disabled_at === null ? '' : ' <span class="tag bad">disabled</span>'}</li>`,
        )
        .join('\n')}</ul>
<p><a href="account/agents">All agents</a></p>`,
    })
  })

  /** What an owner had better know, each a sentence. */
  async function findAttention({ owner }: SignedIn, agents: Agent[]): Promise<string[]> {
    const found: string[] = []
    if (!owner.email_verified) {
      found.push(
        html`Nobody has verified that <bdi>${owner.email}</bdi> is your address, and websites are told so.`,
      )
    }
    if (app.passkeys.works && (await app.passkeys.listUsable(owner.owner_id)).length < 2) {
      found.push(
        '<a href="account/security">Add a second passkey</a>: if you lose the only one, the operator has to let you in again.',
      )
    }
    for (const agent of agents) {
      const { sites } = await app.policies.ofAgent(agent.agent_id)
      if (sites === 'any' && agent.disabled_at === null) {
        found.push(
          html`<a href="account/agents/${agent.agent_id}"><bdi>${agentName(agent)}</bdi></a> may sign in to any website without asking you.`,
        )
      }
    }
    const refusals = await countRefusals(owner.owner_id)
    if (refusals > 0) {
      const what = refusals === 1 ? 'One sign-in was' : `${refusals} sign-ins were`
      found.push(
        html`${what} refused in the last seven days: <a href="account/history?event=sign_in">see the history</a>.`,
      )
    }
    return found
  }

  async function countRefusals(owner_id: string): Promise<number> {
    const events = await app.store.events.listOfOwner(owner_id, {
      event: 'sign_in',
      from: app.clock.now() - REFUSALS.within,
      limit: REFUSALS.among,
    })
    return events.filter(({ outcome }) => outcome !== 'granted').length
  }
}

function count(agents: number): string {
  return agents === 1 ? 'One agent is' : `${agents === 0 ? 'No' : agents} agents are`
}

function waiting(open: (SignInDescription & { request_id: string; agent_id: string })[]): string {
  if (open.length === 0) return '<p>Nothing waits for your answer.</p>'
  const links = open.map(
    ({ request_id, agent_id, redirect_host }) =>
      html`<li><a href="account/approvals/${request_id}?${toQuery({ agent_id })}">Sign in to ${redirect_host}?</a></li>`,
  )
  return html`<section class="card"><h2 class="title">Waiting for your answer</h2><ul class="plain">!${links.join('\n')}</ul></section>`
}

function toLine({ grant, client }: LivingSignIn, agents: Agent[]): string {
  const agent = agents.find(({ agent_id }) => agent_id === grant.agent_id)
  return html`<li>!${websiteName(client)} at ${hostsOf(client)}, by <bdi>${agent === undefined ? grant.agent_id : agentName(agent)}</bdi>, <span class="quiet">!${timeElement(grant.created_at)}</span></li>`
}

export default fp(account, {
  name: 'account/account',
  encapsulate: true,
  decorators: {
    fastify: [
      'approvals',
      'clock',
      'ownSignIns',
      'passkeys',
      'policies',
      'sessions',
      'settings',
      'store',
    ],
  },
})
