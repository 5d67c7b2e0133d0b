import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { buildApp as BuildApp } from '../../plugins/app.ts'
import { serve } from '../calls.ts'

/** The server of a source tree, behind a proxy that says where each request comes from. */
const [tree = '.', directory = '.'] = process.argv.slice(2)
const file = join(directory, 'auth-agent.db')

const { buildApp }: { buildApp: typeof BuildApp } = await import(join(tree, 'plugins/app.ts'))
const app = await buildApp({
  DATABASE_URL: `sqlite:${file}`,
  DYNAMIC_REGISTRATION: 'open',
  TRUST_PROXY: 'loopback',
  // A fiftieth of the default in total, a tenth for each network, so that a short run reaches them.
  PENDING_REQUESTS: 400,
  PENDING_REQUESTS_PER_NETWORK: 50,
  UNPROVED_CLIENTS: 40,
  UNPROVED_CLIENTS_PER_NETWORK: 5,
})
const origin = await app.listen({ host: '127.0.0.1', port: 0 })

const handlers = {
  origin: () => origin,

  /** A client of the operator whose secret was never checked. */
  async client(): Promise<{ client_id: string; client_secret: string; redirect_uri: string }> {
    const redirect_uri = 'https://site.example/callback'
    const { client, client_secret = '' } = await app.registration.createClient({
      client_name: 'Example Site',
      redirect_uris: [redirect_uri],
    })
    return { client_id: client.client_id, client_secret, redirect_uri }
  },

  /** The used bytes of the database. */
  bytes(): number {
    const database = new Database(file, { readonly: true })
    const pages = database.pragma('page_count', { simple: true }) as number
    const free = database.pragma('freelist_count', { simple: true }) as number
    const size = database.pragma('page_size', { simple: true }) as number
    database.close()
    return (pages - free) * size
  },
}

export type StrangersHandlers = typeof handlers
serve(handlers)
