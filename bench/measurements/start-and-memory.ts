import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mebibytes, median, milliseconds, table, times } from '../report.ts'
import type { Site } from '../servers/server.ts'
import type { Bench, Result } from './measurement.ts'

/** A server as operators run it, on an existing database. */
interface Program {
  name: string
  arguments: string[]
  environment: Record<string, string>
  site: Site
}

interface Run {
  /** Milliseconds from the start of the process to its first answer. */
  start: number
  /** Resident memory in bytes, only in rounds with load. */
  idle?: number
  loaded?: number
}

const PORT = 18_473
const origin = `http://127.0.0.1:${PORT}`
const root = join(import.meta.dirname, '../..')

/** Start-up on an existing database and resident memory, of the processes as they are run. */
export async function startAndMemory(bench: Bench): Promise<Result> {
  const programs = [await prepareOurs(bench), await preparePeer(bench)]
  // The first start after a change also compiles the code.
  for (const program of programs) await run(bench, program, false)
  const runs: Run[][] = programs.map(() => [])
  for (let round = 0; round < (bench.quick ? 3 : 9); round += 1) {
    for (const [index, program] of programs.entries()) {
      runs[index]?.push(await run(bench, program, round < (bench.quick ? 1 : 3)))
    }
  }
  const rows = programs.map(({ name }, index) => {
    const of = (what: keyof Run) =>
      median((runs[index] ?? []).map((each) => each[what]).filter((value) => value !== undefined))
    return { name, start: of('start'), idle: of('idle'), loaded: of('loaded') }
  })
  const [ours, peer] = rows
  const goal = (what: string, by: keyof Run, most: number) => {
    const ratio = (ours?.[by] ?? Number.NaN) / (peer?.[by] ?? Number.NaN)
    return {
      what,
      goal: `at most ${times(most)} oidc-provider’s`,
      measured: times(ratio),
      reached: ratio <= most,
    }
  }
  return {
    title: 'Start on an existing database, and resident memory',
    table: table(
      ['', 'start to first answer', 'resident, idle', 'resident, after load'],
      rows.map(({ name, start, idle, loaded }) => [
        name,
        milliseconds(start),
        mebibytes(idle),
        mebibytes(loaded),
      ]),
    ),
    data: runs,
    goals: [
      goal('start-up to the first answer', 'start', 1.5),
      goal('resident memory, idle', 'idle', 1.2),
      goal('resident memory, after load', 'loaded', 1),
    ],
  }
}

/** The command of `npm start`. */
async function prepareOurs(bench: Bench): Promise<Program> {
  const folder = bench.folder()
  const child = await bench.startOurs(folder)
  const site = await child.call('site')
  await child.stop()
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [, words = ''] = String(scripts.start).split(/\bnode /)
  return {
    name: 'ours',
    arguments: words.split(' '),
    environment: {
      DATABASE_URL: `sqlite:${join(folder, 'auth-agent.db')}`,
      HOST: '127.0.0.1',
      PORT: String(PORT),
    },
    site: { ...site, origin },
  }
}

async function preparePeer(bench: Bench): Promise<Program> {
  const folder = bench.folder()
  const child = await bench.startPeer('sqlite', folder)
  const site = await child.call('site')
  await child.stop()
  return {
    name: 'oidc-provider, SQLite',
    arguments: [
      join(import.meta.dirname, '../servers/oidc-provider.ts'),
      folder,
      'sqlite',
      `${PORT}`,
    ],
    environment: {},
    site: { ...site, origin },
  }
}

async function run({ driver, quick }: Bench, program: Program, loaded: boolean): Promise<Run> {
  const answered = driver.call('firstAnswer', origin)
  const started = performance.timeOrigin + performance.now()
  const child = spawn(process.execPath, program.arguments, {
    cwd: root,
    env: { ...process.env, ...program.environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const measured: Run = { start: (await answered) - started }
  if (loaded) {
    await sleep(1000)
    measured.idle = resident(child.pid)
    const seconds = quick ? 2 : 10
    for (const scenario of ['refresh', 'sign-in'] as const) {
      await driver.call('prepare', { site: program.site, scenario, connections: 64, seconds })
      await driver.call('run')
      await driver.call('finish')
    }
    measured.loaded = resident(child.pid)
  }
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
  return measured
}

/** The resident memory of a process, as the operating system reports it. */
function resident(pid: number | undefined): number {
  const [, kibibytes] = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/) ?? []
  return Number(kibibytes) * 1024
}
