import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { shownName } from '../../schemas/name.ts'
import type { Agent } from '../core/core.ts'
import type { SignedIn } from '../core/persons/sessions.ts'
import type { LivingSignIn } from '../core/sign-in/own-sign-ins.ts'
import { sendFramed } from '../pages/frame.ts'
import { signInFacts } from '../pages/living-sign-in.ts'
import { agentName } from '../pages/names.ts'
import { pager, readCursor, toCursor, toQuery } from '../pages/pager.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** How many sign-ins a page shows. */
const PAGE = 20

/** GET /account/sign-ins: where the owner's agents are signed in. */
const signIns: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.get(
    '/account/sign-ins',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id, client_id, before, done } = request.query
      const agents = await findAgents(signedIn)
      const cursor = readCursor(before)
      const found = await app.ownSignIns.list(signedIn.owner.owner_id, {
        agent_id,
        client_id,
        before: cursor && { created_at: cursor.number, grant_id: cursor.rest },
        limit: PAGE + 1,
      })
      const shown = found.slice(0, PAGE)
      const last = shown.at(-1)?.grant
      const next =
        found.length > PAGE && last ? toCursor(last.created_at, last.grant_id) : undefined
      const filter = { agent_id, client_id }
      return sendFramed(app, reply, {
        title: 'Where your agents are signed in',
        signedIn,
        section: 'account/sign-ins',
        notice: DONE[done ?? ''],
        main: html`!${filterInWords(filter, agents, shown)}
!${shown.map((each) => toCard(each, agents)).join('\n') || NONE}
!${pager('account/sign-ins', filter, { before, next })}
!${shown.length === 0 ? '' : html`<p class="actions"><a class="button danger" href="account/sign-ins/stop?${toQuery(filter)}">Stop ${agent_id === undefined && client_id === undefined ? 'everything' : 'all of these'} …</a></p>`}`,
      })
    },
  )

  async function findAgents({ owner }: SignedIn): Promise<Map<string, Agent>> {
    const agents = await app.store.agents.listOfOwner(owner.owner_id)
    return new Map(agents.map((agent) => [agent.agent_id, agent]))
  }
}

const Query = Type.Object({
  agent_id: Type.Optional(Type.String()),
  client_id: Type.Optional(Type.String()),
  before: Type.Optional(Type.String()),
  done: Type.Optional(Type.String()),
})

const NONE = '<p>No agent is signed in here.</p>'

const DONE: Record<string, string> = {
  stopped:
    'Stopped. The website notices when it refreshes or asks next; an access token that an API checks by itself is good until it expires, within minutes.',
}

function filterInWords(
  { agent_id, client_id }: { agent_id: string | undefined; client_id: string | undefined },
  agents: Map<string, Agent>,
  shown: LivingSignIn[],
): string {
  if (agent_id === undefined && client_id === undefined) return ''
  const agent = agents.get(agent_id ?? '')
  const [first] = shown
  const of = agent === undefined ? '' : html` of <bdi>${agentName(agent)}</bdi>`
  const at =
    client_id === undefined || first === undefined
      ? ''
      : html` at <bdi>${shownName(first.client.client_name)}</bdi>`
  return html`<p>Only those!${of}!${at}. <a href="account/sign-ins">Show all</a></p>`
}

function toCard({ grant, client }: LivingSignIn, agents: Map<string, Agent>): string {
  const agent = agents.get(grant.agent_id)
  if (agent === undefined) return ''
  const { grant_id } = grant
  const name = shownName(client.client_name)
  return html`<section class="card">!${signInFacts(grant, client, agent)}
<div class="actions"><form method="post" action="account/sign-ins/stop"><input type="hidden" name="grant_id" value="${grant_id}"><button class="danger" data-action="stop" aria-label="Stop this sign-in at ${name}">Stop</button></form>
<a class="button quiet" href="account/sign-ins/stop?${toQuery({ grant_id })}" aria-label="Stop more at ${name}">Stop more …</a></div></section>`
}

export default fp(signIns, {
  name: 'account/sign-ins',
  encapsulate: true,
  decorators: { fastify: ['ownSignIns', 'sessions', 'settings', 'store'] },
})
