import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { codeCache } from '../processes.ts'
import type { Command, Outcome } from './command-runner.ts'

const script = join(import.meta.dirname, '../../scripts/auth-agent.js')

export type Environment = Record<string, string>

function start(environment: Environment, args: string[]): ChildProcess {
  return spawn(process.execPath, [script, ...args], {
    env: { ...codeCache, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Runs one command to its end, in a process of its own. */
export async function runProcess(environment: Environment, ...args: string[]): Promise<Outcome> {
  const child = start(environment, args)
  const { stdout, stderr } = child
  if (!stdout || !stderr) throw new Error('no output')
  const [out, err, [code]] = await Promise.all([text(stdout), text(stderr), once(child, 'exit')])
  return { code, out, err }
}

let runner: ChildProcess | undefined
let isBusy = false

/** Runs one command to its end. Commands that run at the same time have a process each. */
export async function run(environment: Environment, ...args: string[]): Promise<Outcome> {
  if (isBusy || args.includes('serve')) return await runProcess(environment, ...args)
  isBusy = true
  runner ??= fork(join(import.meta.dirname, 'command-runner.ts'), {
    env: codeCache,
    // Not tap's loaders, which read settings from the environment.
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  runner.unref()
  runner.channel?.ref()
  try {
    runner.send({ args, environment } satisfies Command)
    const [outcome] = await once(runner, 'message')
    return outcome
  } finally {
    runner.channel?.unref()
    isBusy = false
  }
}

/** What a command that succeeds prints with `--json`. */
export async function json(environment: Environment, ...args: string[]) {
  const { code, out, err } = await run(environment, ...args, '--json')
  if (code !== 0) throw new Error(err)
  return JSON.parse(out)
}

/** Settings for a database that does not exist yet. */
export function nowhere(t: Test): Environment {
  return { DATABASE_URL: `sqlite:${t.testdir({})}/data/auth-agent.db` }
}

let made: string | undefined

/** A folder with a new database, made once for a test file, which has copies of it. */
function makeDatabase(): string {
  const folder = mkdtempSync(join(tmpdir(), 'auth-agent-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const DATABASE_URL = `sqlite:${join(folder, 'data/auth-agent.db')}`
  const { status, stderr } = spawnSync(process.execPath, [script, 'db', 'create'], {
    env: { ...codeCache, DATABASE_URL },
  })
  if (status !== 0) throw new Error(String(stderr))
  return folder
}

/** Settings for a new database. */
export function fresh(t: Test): Environment {
  made ??= makeDatabase()
  const folder = t.testdir({})
  cpSync(made, folder, { recursive: true })
  return { DATABASE_URL: `sqlite:${folder}/data/auth-agent.db` }
}

/** A server as a process of its own, on a port that is free. */
export async function serve(t: Test, environment: Environment) {
  const PORT = String(await freePort())
  const child = start({ ...environment, PORT }, ['serve'])
  t.teardown(() => child.kill('SIGKILL'))
  const lines: Record<string, unknown>[] = []
  child.stdout?.on('data', (data) => {
    for (const line of String(data).trim().split('\n')) lines.push(JSON.parse(line))
  })
  while (lines.length === 0 && child.exitCode === null) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { url: `http://localhost:${PORT}`, child, lines }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, 'localhost')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Every message is sentences for a person: no stack trace, and something is said. */
export function assertSentence(
  t: Test,
  outcome: { code: number; err: string },
  about: string,
): void {
  t.not(outcome.code, 0, `${about}: fails`)
  t.match(outcome.err, /^\S.*\n/, `${about}: says why`)
  t.notMatch(outcome.err, /^ +at |node:internal|Error:/m, `${about}: no stack trace`)
}

/** The exit code of a process, and what it said on standard error. */
export async function ending(child: ChildProcess): Promise<{ code: number; err: string }> {
  const { stderr } = child
  if (stderr === null) throw new Error('no output')
  const [err, [code]] = await Promise.all([text(stderr), once(child, 'exit')])
  return { code, err }
}
