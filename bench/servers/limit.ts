import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import formbody from '@fastify/formbody'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { generateKeyPair, SignJWT } from 'jose'
import { serve } from '../calls.ts'
import { commonHandlers, REDIRECT_URI } from './server.ts'

/**
 * The least that a durable token endpoint on Fastify can do: parse the form, sign one ES256 token,
 * make one durable commit, shared by the requests of one turn of the event loop. It checks nothing.
 */
const [directory = '.'] = process.argv.slice(2)

const database = new Database(join(directory, 'limit.db'))
database.pragma('journal_mode = WAL')
database.pragma('synchronous = FULL')
database.pragma('wal_autocheckpoint = 4000')
database.exec('CREATE TABLE grants (grant_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL)')
const insert = database.prepare('INSERT INTO grants VALUES (?, 0)')
for (let grant_id = 0; grant_id < 1000; grant_id += 1) insert.run(grant_id)
const begin = database.prepare('BEGIN IMMEDIATE')
const rotate = database.prepare('UPDATE grants SET generation = generation + 1 WHERE grant_id = ?')
const commit = database.prepare('COMMIT')

let waiting: (() => void)[] = []
let turn = 0
function makeDurable(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.length === 0) {
      setImmediate(() => {
        const batch = waiting
        waiting = []
        begin.run()
        for (const _ of batch) rotate.run(turn++ % 1000)
        commit.run()
        for (const answer of batch) answer()
      })
    }
    waiting.push(resolve)
  })
}

const { privateKey } = await generateKeyPair('ES256')
const refresh_token = `rt_${randomBytes(70).toString('base64url')}`
const app = Fastify()
await app.register(formbody)

app.post('/token', async () => {
  await makeDurable()
  const now = Math.floor(Date.now() / 1000)
  const access_token = await new SignJWT({
    iss: origin,
    sub: 'agent',
    aud: origin,
    client_id: 'client',
    scope: 'email',
    iat: now,
    exp: now + 3600,
    jti: randomBytes(20).toString('base64url'),
    model: 'bench',
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'key', typ: 'at+jwt' })
    .sign(privateKey)
  return { access_token, token_type: 'Bearer', expires_in: 3600, refresh_token, scope: 'email' }
})

const document = { issuer: 'http://localhost', token_endpoint: 'http://localhost/token' }
app.get('/.well-known/oauth-authorization-server', async () => document)
app.get('/.well-known/jwks.json', async () => document)

const origin = await app.listen({ host: '127.0.0.1', port: 0 })

serve(
  commonHandlers({
    origin,
    signIn: 'none',
    client_id: 'client',
    client_secret: 'secret',
    redirect_uri: REDIRECT_URI,
    agent_id: 'agent',
    agent_secret: 'secret',
  }),
)
