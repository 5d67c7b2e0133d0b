import { Readable } from 'node:stream'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { HistoryQuery } from '../../schemas/history.ts'
import { quoteName } from '../../schemas/name.ts'
import type { PlacedEvent } from '../core/core.ts'
import { sendFramed } from '../pages/frame.ts'
import { exported, readHistoryFilter, toCsv, toJsonArray } from '../pages/history.ts'
import { dayFilters, eventList, kindFilter, textFilter } from '../pages/history-list.ts'
import { agentName } from '../pages/names.ts'
import { pager, readCursor, toCursor, toQuery } from '../pages/pager.ts'
import { answerPersonError } from '../pages/person-errors.ts'

const SECTION = 'console/history'
/** How many events a page shows, and how many are read at once for an export. */
const PAGE = 40
const PART = 500

/** /console/history: the whole audit trail. */
const history: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/console/history',
    { schema: { hide: true, querystring: Page } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const { before, ...query } = request.query
      const cursor = readCursor(before)
      const found = await app.store.events.page({
        ...readFilter(query),
        before: cursor && { at: cursor.number, position: Number(cursor.rest) || 0 },
        limit: PAGE + 1,
      })
      const shown = found.slice(0, PAGE)
      const last = shown.at(-1)
      const next = found.length > PAGE && last ? toCursor(last.at, last.position) : undefined
      const csv = toQuery({ ...query, format: 'csv' })
      const json = toQuery({ ...query, format: 'json' })
      return sendFramed(app, reply, {
        title: 'Audit trail',
        signedIn,
        section: SECTION,
        main: html`!${filterForm(query)}
!${shown.length === 0 ? '<p>Nothing is recorded that fits.</p>' : eventList(SECTION, shown, await findNames(shown))}
!${pager(SECTION, query, { before, next })}
<p class="quiet">All times are in UTC. What is in quotation marks is what others call themselves. <a href="console/history/export?${csv}">Export as CSV</a>, <a href="console/history/export?${json}">as JSON</a></p>`,
      })
    },
  )

  app.get(
    '/console/history/export',
    { schema: { hide: true, querystring: Export } },
    async (request, reply) => {
      await app.sessions.assertOperator(request)
      const { format = 'json', ...query } = request.query
      const events = readAll(readFilter(query))
      const isCsv = format === 'csv'
      return reply
        .headers({
          'content-type': isCsv ? 'text/csv; charset=utf-8' : 'application/json',
          'content-disposition': `attachment; filename="audit-trail-utc.${format}"`,
          'x-content-type-options': 'nosniff',
        })
        .send(Readable.from(isCsv ? toCsv(events) : toJsonArray(eachExported(events))))
    },
  )

  async function* readAll(filter: ReturnType<typeof readFilter>): AsyncGenerator<PlacedEvent> {
    let before: { at: number; position: number } | undefined
    for (;;) {
      const part = await app.store.events.page({ ...filter, before, limit: PART })
      yield* part
      before = part.at(-1)
      if (part.length < PART) return
    }
  }

  async function findNames(events: PlacedEvent[]): Promise<Map<string, string>> {
    const clients = new Set(events.flatMap(({ client_id }) => client_id ?? []))
    const agents = new Set(events.flatMap(({ agent_id }) => agent_id ?? []))
    const names = new Map<string, string>()
    for (const id of clients) {
      const client = await app.store.clients.find(id)
      if (client !== undefined) names.set(id, quoteName(client.client_name))
    }
    for (const id of agents) {
      const agent = await app.store.agents.find(id)
      if (agent !== undefined) names.set(id, agentName(agent))
    }
    return names
  }
}

const Filter = Type.Composite([
  HistoryQuery,
  Type.Object({
    owner_id: Type.Optional(Type.String()),
    outcome: Type.Optional(Type.String()),
  }),
])
const Page = Type.Composite([Filter, Type.Object({ before: Type.Optional(Type.String()) })])
const Export = Type.Composite([
  Filter,
  Type.Object({ format: Type.Optional(Type.Union([Type.Literal('csv'), Type.Literal('json')])) }),
])
type FilterQuery = typeof Filter.static

function readFilter({ owner_id, outcome, ...query }: FilterQuery) {
  return { ...readHistoryFilter(query), owner_id, outcome }
}

async function* eachExported(events: AsyncIterable<PlacedEvent>) {
  for await (const event of events) yield exported(event)
}

function filterForm(query: FilterQuery): string {
  return html`<form class="card filters" method="get" action="console/history">
!${textFilter('agent_id', 'Agent (agent_id)', query.agent_id)}!${textFilter('client_id', 'Website (client_id)', query.client_id)}!${textFilter('owner_id', 'Done by (owner_id)', query.owner_id)}!${kindFilter(query.event)}!${textFilter('outcome', 'Outcome, such as granted', query.outcome)}!${dayFilters(query.from, query.to)}
<div class="actions"><button class="quiet">Filter</button><a class="button quiet" href="console/history">Everything</a></div></form>`
}

export default fp(history, {
  name: 'console/history',
  encapsulate: true,
  decorators: { fastify: ['sessions', 'settings', 'store'] },
})
