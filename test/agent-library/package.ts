import { execFile } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import type { Test } from 'tap'
import { findFreePort } from '../../scripts/demo/free-port.ts'
import { authorizeQuery, build, createAgent, createSite, encode, pkce } from '../harness.ts'

const execute = promisify(execFile)

/** Runs a program without the loaders that the test runner gives to every Node that it starts. */
export function run(file: string, args: string[], options: { cwd?: string } = {}) {
  return execute('env', ['-u', 'NODE_OPTIONS', file, ...args], options)
}
export const root = join(import.meta.dirname, '../..')
const consumer = join(import.meta.dirname, 'consumer.ts')

/** Packs the agent's package into a folder, as `npm publish` does. */
export async function packAgent(folder: string): Promise<{ tarball: string; files: string[] }> {
  const packed = await run(
    'npm',
    ['pack', '--workspace', 'agent', '--json', '--pack-destination', folder],
    { cwd: root },
  )
  // Depending on its version, npm prints a list, or an object of the workspaces' names.
  const [about] = Object.values<{ filename: string; files: { path: string }[] }>(
    JSON.parse(packed.stdout),
  )
  if (about === undefined) throw new Error(packed.stdout)
  return {
    tarball: join(folder, about.filename),
    files: about.files.map(({ path }) => path),
  }
}

/** Uses the package that is installed in a folder, as its users do, under the given Node. */
export async function usePackage(t: Test, folder: string, node: string): Promise<void> {
  const port = await findFreePort()
  const issuer = `http://localhost:${port}`
  const app = await build(t, { ISSUER: issuer })
  await app.listen({ host: 'localhost', port })
  const site = await createSite(app)
  const { agent_id, agent_secret } = await createAgent(app)

  cpSync(consumer, join(folder, 'consumer.js'))
  const url = `${issuer}/authorize?${encode(authorizeQuery(site, pkce().code_challenge))}`
  const library = await run(node, ['consumer.js', url, agent_id, agent_secret], { cwd: folder })
  t.same({ ...library }, { stdout: 'site.example', stderr: '' }, 'the library signs in')

  const client = new Client({ name: 'test', version: '1.0.0' })
  const transport = new StdioClientTransport({
    command: node,
    args: [join(folder, 'node_modules/@auth-agent/agent/dist/auth-agent-mcp.js')],
    env: { AUTH_AGENT_ISSUER: issuer, AUTH_AGENT_CDP_URL: 'http://127.0.0.1:1' },
    cwd: folder,
    stderr: 'pipe',
  })
  let written = ''
  transport.stderr?.on('data', (chunk) => {
    written += chunk
  })
  await client.connect(transport)
  const { tools } = await client.listTools()
  t.match(tools, [{ name: 'sign_in' }], 'the tool answers')
  const input = { site: 'shop.example', model: 'test-model' }
  const answer = await client.callTool({ name: 'sign_in', arguments: input })
  t.match(JSON.stringify(answer), 'Install playwright-core beside @auth-agent/agent')
  await client.close()
  t.equal(written, '')
}
