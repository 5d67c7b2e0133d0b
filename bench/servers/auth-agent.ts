import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { buildApp } from '../../plugins/app.ts'
import { newId } from '../../plugins/core/crypto/secrets.ts'
import { serve } from '../calls.ts'
import { commonHandlers, REDIRECT_URI, type Site } from './server.ts'

/** Auth Agent, on a database file. */
const [directory = '.'] = process.argv.slice(2)
const file = join(directory, 'auth-agent.db')

// The load comes from one address.
const app = await buildApp({
  DATABASE_URL: `sqlite:${file}`,
  PENDING_REQUESTS: 100_000,
  PENDING_REQUESTS_PER_NETWORK: 12_000,
})
const origin = await app.listen({ host: '127.0.0.1', port: 0 })
const grantTypes = (await app.metadata.document()).grant_types_supported as string[]
await app.registration.createResource({ uri: 'https://api.example/v1', scopes: ['read'] })
const { client, client_secret = '' } = await app.registration.createClient({
  client_name: 'Example Site',
  redirect_uris: [REDIRECT_URI],
  grant_types: grantTypes,
  scope: 'openid email read',
})
const { agent, agent_secret } = await app.registration.createAgent({ email: 'owner@example.com' })
const site: Site = {
  origin,
  signIn: 'auth-agent',
  client_id: client.client_id,
  client_secret,
  redirect_uri: REDIRECT_URI,
  agent_id: agent.agent_id,
  agent_secret,
}
writeFileSync(join(directory, 'auth-agent.json'), JSON.stringify(site))

const handlers = {
  ...commonHandlers(site),

  /** The kinds of grant that /token takes. */
  grantTypes: () => grantTypes,

  /** Adds grants until the table has `total`. Returns refresh tokens of some that are far apart in it. */
  storeGrants(total: number, samples: number): string[] {
    const database = new Database(file)
    const count = database.prepare<[], { rows: number }>('SELECT count(*) AS rows FROM grants')
    const missing = total - (count.get()?.rows ?? 0)
    const now = app.clock.now()
    const insert = database.prepare(
      `INSERT INTO grants (grant_id, client_id, agent_id, model, scope, amr, created_at, expires_at,
       expiry_check_at, refresh_generation) VALUES (?, ?, ?, 'bench', 'email', 'agent_secret', ?, ?, ?, 0)`,
    )
    const grants: string[] = []
    database.transaction(() => {
      for (let row = 0; row < missing; row += 1) {
        const grant_id = newId('grant_')
        const ends = now + 2_592_000
        insert.run(grant_id, client.client_id, agent.agent_id, now, ends, ends)
        grants.push(grant_id)
      }
    })()
    database.pragma('wal_checkpoint(TRUNCATE)')
    database.close()
    const step = Math.max(1, Math.floor(grants.length / samples))
    return grants
      .filter((_, index) => index % step === 0)
      .slice(0, samples)
      .map((grant_id) => app.tokens.sealRefreshToken(grant_id, 0))
  },
}

export type AuthAgentHandlers = typeof handlers
serve(handlers)
