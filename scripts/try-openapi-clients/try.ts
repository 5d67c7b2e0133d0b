import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { buildApp } from '../../plugins/app.ts'
import { findFreePort } from '../demo/free-port.ts'
import { Workshop } from '../try-applications/workshop.ts'
import { GENERATORS, type Generator } from './generators.ts'

/**
 * Makes clients from /openapi.json by generators in other languages, and signs an agent in with each:
 * `npm run try:openapi-clients [NAME…]`.
 */
const OWNER = 'ada@example.com'

const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in GENERATORS))
if (unknown.length > 0) {
  console.error(`No generator is called ${unknown.join(', ')}. There are:`)
  console.error(Object.keys(GENERATORS).join('\n'))
  process.exit(2)
}

for (const [name, generator] of Object.entries(GENERATORS)) {
  if (names.length > 0 && !names.includes(name)) continue
  const missing = generator.tools.filter((tool) => !isInstalled(tool))
  if (missing.length > 0) {
    console.log(`${name}: skipped, since ${missing.join(' and ')} could not be run.`)
    continue
  }
  try {
    console.log(`${name}: ${await tryGenerator(name, generator)}`)
  } catch (error) {
    process.exitCode = 1
    console.log(`${name}: failed. ${error instanceof Error ? error.message : error}`)
  }
}

function isInstalled(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0
}

async function tryGenerator(name: string, generator: Generator): Promise<string> {
  const port = await findFreePort()
  const issuer = `http://localhost:${port}`
  const folder = await mkdtemp(join(tmpdir(), 'auth-agent-try-'))
  const app = await buildApp({
    ISSUER: issuer,
    DATABASE_URL: `sqlite:${join(folder, 'auth-agent.db')}`,
    DYNAMIC_REGISTRATION: 'open',
    LOG_LEVEL: 'silent',
  })
  const given = { issuer, client_id: '', client_secret: '', url: issuer }
  const workshop = new Workshop({ name, port, issuer, given, lines: [] })
  try {
    await app.listen({ host: 'localhost', port })
    const { agent, agent_secret } = await app.registration.createAgent({ email: OWNER })
    await app.policies.changeAgent(agent.agent_id, { sites: 'any' })
    const answer = await fetch(`${issuer}/openapi.json`)
    const document = await workshop.write('openapi.json', await answer.text())
    const [file, ...args] = await generator.make(workshop, document)
    const output = await workshop.run(file, [...args, issuer, agent.agent_id, agent_secret])
    const outcome = JSON.parse(output.split('\n').at(-1) ?? '')
    const expected = { email: OWNER, active: true, afterwards: false, refused: 'invalid_token' }
    if (!isDeepStrictEqual(outcome, expected)) throw new Error(output)
    return 'registered, signed in, refreshed and revoked'
  } finally {
    await workshop.close()
    await app.close()
    await rm(folder, { recursive: true })
  }
}
