import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'
import { codeCache } from '../processes.ts'
import { freePort } from './command.ts'

export const script = join(import.meta.dirname, '../../scripts/auth-agent.js')

export interface LoggedServer {
  url: string
  child: ChildProcess
  /** What standard error has had, by line. */
  errors: () => string[]
  /** The exit code after SIGTERM. */
  end: () => Promise<number | null>
}

/** A server whose standard output is given. Its standard error is read. */
export async function serveInto(
  t: Test,
  output: 'pipe' | number,
  environment: Record<string, string> = {},
): Promise<LoggedServer> {
  const PORT = String(await freePort())
  const child = spawn(process.execPath, [script, 'serve'], {
    env: { ...codeCache, DATABASE_URL: `sqlite:${t.testdir({})}/a.db`, ...environment, PORT },
    stdio: ['ignore', output, 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stderr?.on('data', (data) => {
    text += data
  })
  const url = `http://localhost:${PORT}`
  await isAnswering(url, child)
  return {
    url,
    child,
    errors: () => text.split('\n').filter((line) => line !== ''),
    end: async () => {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
      return child.exitCode
    },
  }
}

export async function isAnswering(url: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    try {
      return void (await fetch(`${url}/healthz`))
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  throw new Error(`The server ended with ${child.exitCode}`)
}

/** Requests that are logged, until `enough` says so. */
export async function askLogged(url: string, enough: (asked: number) => boolean): Promise<number> {
  let asked = 0
  const path = `/.well-known/nothing`
  while (!enough(asked)) {
    const some = Array.from({ length: 20 }, () => fetch(`${url}${path}`).then((r) => r.text()))
    await Promise.all(some)
    asked += some.length
  }
  return asked
}
