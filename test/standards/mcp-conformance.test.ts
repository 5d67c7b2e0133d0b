import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { glob, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { signInWithoutBrowser } from '../clients/agent-library.ts'
import { freePort, listen } from '../clients/live.ts'
import { createAgent, createSite } from '../harness.ts'

interface Check {
  id: string
  description: string
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'
  errorMessage?: string
}

const suite = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'))

/**
 * Runs the scenarios for authorization servers of the official MCP suite. It prints the URL that a
 * person is to open; here an agent signs in at it, and the callback goes to the suite.
 */
async function runSuite(
  t: Test,
  signIn: (authorizationUrl: string) => Promise<URL>,
  ...options: string[]
): Promise<Check[]> {
  const directory = t.testdir()
  const child = spawn(
    process.execPath,
    [suite, 'authorization', '--output-dir', directory, ...options],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.teardown(() => child.kill())
  const exit = once(child, 'exit')
  for await (const line of createInterface(child.stdout)) {
    t.comment(line)
    if (line.startsWith('http')) await fetch(await signIn(line))
  }
  const [code] = await exit
  if (code !== 0) throw new Error(`The suite ended with ${code}`)
  const checks: Check[] = []
  for await (const file of glob(`${directory}/**/checks.json`)) {
    checks.push(...JSON.parse(await readFile(file, 'utf8')))
  }
  return checks
}

t.test('the official MCP conformance suite passes every check', async (t) => {
  const { app, issuer } = await listen(t)
  const agent = await createAgent(app)
  const { client_id } = await createSite(app, {
    redirect_uris: ['http://127.0.0.1/callback'],
    token_endpoint_auth_method: 'none',
  })
  const port = String(await freePort())
  const checks = await runSuite(
    t,
    (authorizationUrl) => signInWithoutBrowser(authorizationUrl, agent),
    ...['--url', issuer, '--client-id', client_id, '--port', port],
  )
  t.same(checks.map(({ id }) => id).sort(), [
    'authorization-code-grant',
    'authorization-server-metadata',
    'authorization-server-metadata-cimd',
  ])
  for (const { description, status, errorMessage } of checks) {
    t.equal(status, 'SUCCESS', errorMessage ?? description)
  }
})
