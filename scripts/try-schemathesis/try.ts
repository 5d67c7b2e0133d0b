import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '../../plugins/app.ts'
import { findFreePort } from '../demo/free-port.ts'
import { Workshop } from '../try-applications/workshop.ts'

/**
 * Sends thousands of requests that schemathesis generates from /openapi.json, and checks every answer
 * against the document: `npm run try:schemathesis [OPTION…]`, with options of `schemathesis run`.
 */
const VERSION = '4.32.5'

/** The checks of every answer, for every request. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'ignored_auth',
]

/** Operations that no request of the hooks can make succeed, with the reason. */
const NEVER_GOOD = { verifyApproval: 'the owner gives the code to the agent' }

if (spawnSync('python3', ['--version']).status !== 0) {
  console.log('Skipped, since python3 could not be run.')
  process.exit()
}

const port = await findFreePort()
const issuer = `http://localhost:${port}`
const folder = await mkdtemp(join(tmpdir(), 'auth-agent-try-'))
const app = await buildApp({
  ISSUER: issuer,
  DATABASE_URL: `sqlite:${join(folder, 'auth-agent.db')}`,
  DYNAMIC_REGISTRATION: 'open',
  // One address sends all requests, so the limits on guessing and on strangers are raised.
  THROTTLE_FAILURES: 1_000_000,
  LOG_LEVEL: 'error',
})
const statuses = join(folder, 'statuses.json')
const given = { issuer, client_id: '', client_secret: '', url: issuer }
const workshop = new Workshop({ name: 'schemathesis', port, issuer, given, lines: [] })
try {
  await app.listen({ host: 'localhost', port })
  const redirect_uri = 'https://site.example/callback'
  const { client, client_secret = '' } = await app.registration.createClient({
    client_name: 'Generated',
    redirect_uris: [redirect_uri],
  })
  const { agent, agent_secret } = await app.registration.createAgent({ email: 'ada@example.com' })
  await app.policies.changeAgent(agent.agent_id, { sites: 'any' })
  const python = await workshop.python(`schemathesis==${VERSION}`)
  const options = ['--checks', CHECKS.join(), '--continue-on-failure', '--warnings', 'off']
  const child = spawn(
    join(python, '../schemathesis'),
    ['run', `${issuer}/openapi.json`, ...options, ...process.argv.slice(2)],
    {
      cwd: folder,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        SCHEMATHESIS_HOOKS: join(import.meta.dirname, 'hooks.py'),
        TRY_ISSUER: issuer,
        TRY_AGENT_ID: agent.agent_id,
        TRY_AGENT_SECRET: agent_secret,
        TRY_CLIENT_ID: client.client_id,
        TRY_CLIENT_SECRET: client_secret,
        TRY_REDIRECT_URI: redirect_uri,
        TRY_STATUSES: statuses,
      },
    },
  )
  const [code] = await once(child, 'exit')
  process.exitCode = code ?? 1
  const counts: Record<string, Record<string, number>> = JSON.parse(
    await readFile(statuses, 'utf8'),
  )
  for (const [operation, byStatus] of Object.entries(counts)) {
    console.log(operation, byStatus)
    if (operation in NEVER_GOOD || Object.keys(byStatus).some((status) => status < '400')) continue
    process.exitCode = 1
    console.log(`No request of ${operation} was good: the hooks do not reach its code.`)
  }
} finally {
  await workshop.close()
  await app.close()
  await rm(folder, { recursive: true })
}
