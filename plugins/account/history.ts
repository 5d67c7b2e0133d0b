import { Readable } from 'node:stream'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { HistoryQuery } from '../../schemas/history.ts'
import { quoteName } from '../../schemas/name.ts'
import { readHistory } from '../core/audit/own-history.ts'
import type { Agent, PlacedEvent } from '../core/core.ts'
import { sendFramed } from '../pages/frame.ts'
import { exported, readHistoryFilter, toCsv, toJsonArray } from '../pages/history.ts'
import { dayFilters, eventList, kindFilter, option, textFilter } from '../pages/history-list.ts'
import { agentName } from '../pages/names.ts'
import { pager, readCursor, toCursor, toQuery } from '../pages/pager.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** How many events a page shows. */
const PAGE = 40

/** /account/history: what the owner's agents did, and what the owner did. */
const history: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/history',
    { schema: { hide: true, querystring: Page } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const { owner_id } = signedIn.owner
      const { before, agent_id, client_id, event, from, to } = request.query
      const query = { agent_id, client_id, event, from, to }
      const cursor = readCursor(before)
      const found = await app.store.events.listOfOwner(owner_id, {
        ...readHistoryFilter(query),
        before: cursor && { at: cursor.number, position: Number(cursor.rest) || 0 },
        limit: PAGE + 1,
      })
      const shown = found.slice(0, PAGE)
      const last = shown.at(-1)
      const next = found.length > PAGE && last ? toCursor(last.at, last.position) : undefined
      const agents = await app.store.agents.listOfOwner(owner_id)
      const names = await findNames(shown, agents)
      return sendFramed(app, reply, {
        title: 'History',
        signedIn,
        section: 'account/history',
        main: html`!${filterForm(query, agents)}
!${shown.length === 0 ? '<p>Nothing is recorded that fits.</p>' : eventList('account/history', shown, names)}
!${pager('account/history', query, { before, next })}
<p class="quiet">All times are in UTC. What is in quotation marks is what others call themselves. <a href="account/history/export?${toQuery({ ...query, format: 'csv' })}">Export as CSV</a>, <a href="account/history/export?${toQuery({ ...query, format: 'json' })}">as JSON</a></p>`,
      })
    },
  )

  app.get(
    '/account/history/export',
    { schema: { hide: true, querystring: Export } },
    async (request, reply) => {
      const { owner } = await app.sessions.assertOwner(request)
      const { format, ...query } = request.query
      const events = readHistory(app, owner.owner_id, readHistoryFilter(query))
      const type = format === 'csv' ? 'text/csv; charset=utf-8' : 'application/json'
      const pieces = format === 'csv' ? toCsv(events) : toJsonArray(eachExported(events))
      return reply
        .headers({
          'content-type': type,
          'content-disposition': `attachment; filename="history-utc.${format}"`,
          'x-content-type-options': 'nosniff',
        })
        .send(Readable.from(pieces))
    },
  )

  /** What agents and websites are called, by their identifiers. */
  async function findNames(events: PlacedEvent[], agents: Agent[]): Promise<Map<string, string>> {
    const ids = [...new Set(events.flatMap(({ client_id }) => client_id ?? []))]
    const clients = await Promise.all(ids.map((id) => app.store.clients.find(id)))
    return new Map([
      ...agents.map((agent) => [agent.agent_id, agentName(agent)] as const),
      ...clients.flatMap((client) =>
        client === undefined ? [] : [[client.client_id, quoteName(client.client_name)] as const],
      ),
    ])
  }
}

const Page = Type.Composite([HistoryQuery, Type.Object({ before: Type.Optional(Type.String()) })])
const Export = Type.Composite([
  Type.Object({ format: Type.Union([Type.Literal('csv'), Type.Literal('json')]) }),
])

async function* eachExported(events: AsyncIterable<PlacedEvent>) {
  for await (const event of events) yield exported(event)
}

function filterForm(query: HistoryQuery, agents: Agent[]): string {
  const names = agents.map((agent) => option(agent.agent_id, agentName(agent), query.agent_id))
  return html`<form class="card filters" method="get" action="account/history">
<div><label for="agent_id">Agent</label><select id="agent_id" name="agent_id">!${option('', 'All, and what you did', query.agent_id)}!${names.join('')}</select></div>
!${kindFilter(query.event)}!${textFilter('client_id', 'Website (client_id)', query.client_id)}!${dayFilters(query.from, query.to)}
<div class="actions"><button class="quiet">Filter</button><a class="button quiet" href="account/history">Everything</a></div></form>`
}

export default fp(history, {
  name: 'account/history',
  encapsulate: true,
  decorators: { fastify: ['sessions', 'settings', 'store'] },
})
