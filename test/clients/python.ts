import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

const folder = join(import.meta.dirname, 'python')
const python = join(import.meta.dirname, '../../.venv-test/bin/python')

/** Prints each requirement that is not installed in its pinned version. */
const missing = `
import importlib.metadata as installed, re, sys
if sys.version_info < (3, 11): print('Python 3.11')
for line in open('requirements.txt'):
    name, version = re.match(r'([\\w-]+).*==(.+)', line).groups()
    try: found = installed.version(name)
    except installed.PackageNotFoundError: found = None
    if found != version: print(name, version)
`

function whySkipped(): string | false {
  if (!existsSync(python)) return 'there is no .venv-test; .ci/run makes it where Python 3.11 is'
  const { stdout } = spawnSync(python, ['-c', missing], { cwd: folder, encoding: 'utf8' })
  return stdout === '' ? false : `.venv-test lacks ${stdout.trim().split('\n').join(', ')}`
}

/** Why the programs in Python cannot run here, or false. */
export const skip = whySkipped()

export interface Program {
  /** The next line that it writes. @throws when it ends instead, with what it complained of */
  readLine(): Promise<string>
  write(line: string): void
  /** Resolves when an HTTP request to it is answered. */
  answers(url: string): Promise<void>
}

/** A program in Python that runs in a process of its own, ended with the test. */
export function start(t: Test, file: string, environment: Record<string, string>): Program {
  const child = spawn(python, [resolve(folder, file)], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PYTHONPATH: folder,
      PYTHONDONTWRITEBYTECODE: '1',
      // browser-use and FastMCP would otherwise call home.
      ANONYMIZED_TELEMETRY: 'false',
      FASTMCP_CHECK_FOR_UPDATES: 'off',
      ...environment,
    },
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  let complaints = ''
  child.stderr.on('data', (chunk) => {
    complaints += chunk
  })
  child.stdin.on('error', () => {})
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()

  return {
    async readLine() {
      const { value, done } = await lines.next()
      if (done !== true) return value
      await exited
      throw new Error(`${file} ended: ${complaints}`)
    },
    write(line) {
      child.stdin.write(`${line}\n`)
    },
    async answers(url) {
      while (child.exitCode === null) {
        const answer = await fetch(url, { redirect: 'manual' }).catch(() => undefined)
        if (answer !== undefined) return
        await sleep(200)
      }
      throw new Error(`${file} ended: ${complaints}`)
    },
  }
}
