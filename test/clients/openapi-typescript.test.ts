import { execFile } from 'node:child_process'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { createAgent } from '../harness.ts'
import { listen } from './live.ts'

const project = join(import.meta.dirname, 'generated')
const programs = join(import.meta.dirname, '../../node_modules/.bin')

/** Runs a program without the loaders of the test runner; fails with all that it printed. */
async function run(file: string, args: string[]): Promise<string> {
  const command = ['-u', 'NODE_OPTIONS', file, ...args]
  const { stdout } = await promisify(execFile)('env', command).catch((error) => {
    throw new Error(`${args.join(' ')}\n${error.stdout}${error.stderr}`)
  })
  return stdout
}

t.test('a client that openapi-typescript makes signs an agent in, in types too', async (t) => {
  const { issuer, app } = await listen(t, { DYNAMIC_REGISTRATION: 'open' })
  const { agent_id, agent_secret } = await createAgent(app, undefined, { sites: 'any' })
  const folder = t.testdir()
  const types = join(folder, 'auth-agent.d.ts')
  const generator = join(project, 'node_modules/.bin/openapi-typescript')
  await run(generator, [`${issuer}/openapi.json`, '--output', types])
  const program = join(folder, 'sign-in.ts')
  await copyFile(join(project, 'sign-in.ts'), program)
  const options = '--noEmit --strict --target esnext --module nodenext --types node --skipLibCheck'
  await run(join(programs, 'tsc'), [
    ...options.split(' '),
    '--ignoreConfig',
    '--verbatimModuleSyntax',
    '--allowImportingTsExtensions',
    '--noUncheckedIndexedAccess',
    types,
    program,
  ])
  const output = await run(process.execPath, [program, issuer, agent_id, agent_secret])
  t.same(JSON.parse(output), {
    issuer,
    waited: 'completed',
    email: 'owner@example.com',
    sub: agent_id,
    introspected: true,
    revoked: 200,
    afterwards: false,
    refused: 'invalid_token',
  })
})
