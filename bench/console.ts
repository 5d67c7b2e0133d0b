import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { FastifyReply } from 'fastify'
import { buildApp } from '../plugins/app.ts'
import { median, table } from './report.ts'

/*
 * How long the pages of the console take where there are 100,000 sign-ins, events, websites and agents:
 * `node bench/console.ts`. Times are of the server, without a network.
 */

const GRANTS = 100_000
const AGENTS = 10
const ROUNDS = 15

const folder = mkdtempSync(join('data', 'bench-console-'))
const file = join(folder, 'data.db')
const app = await buildApp({ DATABASE_URL: `sqlite:${file}`, LOG_LEVEL: 'silent' })
try {
  const owner_id = 'owner_bench'
  const now = app.clock.now()
  await app.store.owners.create({
    owner_id,
    email: 'owner@example.com',
    email_verified: true,
    name: null,
    operator: true,
    mail_sign_in: true,
    created_at: now,
    disabled_at: null,
  })
  const agents: string[] = []
  for (let index = 0; index < AGENTS; index += 1) {
    const { agent } = await app.registration.createAgent({ email: 'owner@example.com' })
    agents.push(agent.agent_id)
  }
  const { client } = await app.registration.createClient({
    client_name: 'Site',
    redirect_uris: ['https://site.example/callback'],
  })
  fill(agents, client.client_id, now)

  let cookie = ''
  const reply = { header: (_: string, value: string) => (cookie = value.split(';')[0] ?? '') }
  const request = { headers: {}, ip: '192.0.2.1' }
  await app.sessions.start(owner_id, 'passkey', request, reply as unknown as FastifyReply)
  const paths = [
    '/',
    '/console',
    '/console/websites',
    `/console/websites?before=${now - GRANTS / 2}.client_x`,
    '/console/websites?search=Site',
    `/console/websites/${client.client_id}`,
    '/console/agents',
    '/console/agents?search=owner@example.com',
    `/console/agents/${agents[0]}`,
    '/console/owners',
    '/console/keys',
    '/console/limits',
    '/console/history',
    `/console/history?before=${now - GRANTS / 2}.1`,
    `/console/history?client_id=${client.client_id}`,
    `/console/history?agent_id=${agents[0]}`,
    '/console/history?event=sign_in&outcome=access_denied',
    '/console/history?outcome=access_denied',
  ]
  const rows: string[][] = []
  for (const url of paths) {
    const times: number[] = []
    let size = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const start = performance.now()
      const answer = await app.inject({ url, headers: { cookie, accept: 'text/html' } })
      times.push(performance.now() - start)
      if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode}`)
      size = answer.rawPayload.length
    }
    const shown = url
      .replace(/agent_(?!id)[\w-]+/, 'AGENT_ID')
      .replace(/client_(?!id)[\w-]+/, 'CLIENT_ID')
    const [median_ms, worst] = [median(times), Math.max(...times)]
    rows.push([shown, median_ms.toFixed(1), worst.toFixed(1), (size / 1024).toFixed(1)])
  }
  process.stdout.write(`${table(['page', 'ms (median)', 'ms (worst)', 'KB'], rows)}\n`)
} finally {
  await app.close()
  rmSync(folder, { recursive: true })
}

function fill(agents: string[], client_id: string, now: number): void {
  const database = new Database(file)
  const grant = database.prepare(
    `INSERT INTO grants (grant_id, client_id, agent_id, model, scope, amr, created_at, expires_at,
      expiry_check_at) VALUES (?, ?, ?, 'model', 'openid', 'swk', ?, ?, ?)`,
  )
  const event = database.prepare(
    `INSERT INTO events (event_id, at, position, event, outcome, agent_id, client_id)
      VALUES (?, ?, 1, 'sign_in', 'granted', ?, ?)`,
  )
  const website = database.prepare(
    `INSERT INTO clients (client_id, client_name, redirect_uris, grant_types,
      token_endpoint_auth_method, id_token_signed_response_alg, legacy_polling, origin, created_at)
      VALUES (?, ?, '[]', '[]', 'none', 'RS256', 0, 'operator', ?)`,
  )
  const agent = database.prepare(
    `INSERT INTO agents (agent_id, email, email_verified, created_at) VALUES (?, ?, 0, ?)`,
  )
  database.transaction(() => {
    for (let index = 0; index < GRANTS; index += 1) {
      const agent_id = agents[index % agents.length]
      const end = now + 86_400
      grant.run(`grant_${index}`, client_id, agent_id, now - index, end, end)
      website.run(`client_${index}`, `Site ${index}`, now - index)
      agent.run(`agent_${index}`, `person-${index}@example.com`, now - index)
      event.run(`ev_${index}`, now - index, agent_id, client_id)
    }
  })()
  database.close()
}
