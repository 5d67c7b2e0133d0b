import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from '../plugins/app.ts'
import { type Credentials, createAgent, createSite, type Site } from './harness.ts'

/**
 * Settings for Node of a process of its own. Processes share what they compile, so that each starts in
 * half the time; what comes from there has no coverage of branches, so not where that is measured.
 */
export const codeCache: Record<string, string> =
  process.env.NODE_V8_COVERAGE === undefined
    ? { NODE_COMPILE_CACHE: join(tmpdir(), 'auth-agent-test-compiled') }
    : { NODE_DISABLE_COMPILE_CACHE: '1' }

/** An empty folder that goes with the test. */
export function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'auth-agent-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface ServerProcess {
  /** Speaks to the process as the harness does to an instance. */
  app: FastifyInstance
  process: ChildProcess
  /** Every line that it has written. */
  output: string[]
  /** Ends it and waits until it has. */
  stop(signal: NodeJS.Signals): Promise<void>
}

/** `auth-agent serve` in a process of its own, ended with the test. */
export async function startServer(
  t: Test,
  folder: string,
  environment: Record<string, string> = {},
): Promise<ServerProcess> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '../scripts/auth-agent.js'), 'serve'],
    {
      cwd: folder,
      env: { ...codeCache, PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const exited = once(child, 'exit')
  const stop = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    await exited
  }
  t.teardown(() => stop('SIGKILL'))

  const output: string[] = []
  createInterface(child.stderr).on('line', (line) => output.push(line))
  const origin = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      output.push(line)
      const [, found] = line.match(/listening on (http[^", ]+)/) ?? []
      if (found !== undefined) resolve(found)
    })
    child.on('exit', () => reject(new Error(`The server ended:\n${output.join('\n')}`)))
  })
  return { app: remote(origin), process: child, output, stop }
}

/** What the harness needs of an instance, over HTTP. */
function remote(origin: string): FastifyInstance {
  const inject = async (options: InjectOptions) => {
    const { method = 'GET', url, payload, headers } = options
    const response = await fetch(new URL(String(url), origin), {
      method,
      redirect: 'manual',
      headers: {
        ...(typeof payload === 'object' && { 'content-type': 'application/json' }),
        ...(headers as Record<string, string>),
      },
      body: typeof payload === 'object' ? JSON.stringify(payload) : (payload as string),
    })
    const body = await response.text()
    return {
      statusCode: response.status,
      headers: Object.fromEntries(response.headers),
      body,
      json: () => JSON.parse(body),
    }
  }
  return { inject } as unknown as FastifyInstance
}

/** Registers a website and agents in the database of a folder where servers run. */
export async function register(
  folder: string,
  agents = 1,
): Promise<{ site: Site; agents: Credentials[] }> {
  const app = await buildApp(
    { DATABASE_URL: `sqlite:${join(folder, 'data/auth-agent.db')}`, LOG_LEVEL: 'silent' },
    { endpoints: [] },
  )
  const site = await createSite(app)
  const registered: Credentials[] = []
  for (let i = 0; i < agents; i++) registered.push(await createAgent(app))
  await app.close()
  return { site, agents: registered }
}
