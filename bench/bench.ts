import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { Child } from './calls.ts'
import type { DriverHandlers } from './driver.ts'
import type { Bench, Measurement, Result } from './measurements/measurement.ts'
import { redirect } from './measurements/redirect.ts'
import { startAndMemory } from './measurements/start-and-memory.ts'
import { storedGrants } from './measurements/stored-grants.ts'
import { throughput } from './measurements/throughput.ts'
import { waitingPolls } from './measurements/waiting-polls.ts'
import { wrongSecrets } from './measurements/wrong-secrets.ts'
import { table } from './report.ts'
import type { AuthAgentHandlers } from './servers/auth-agent.ts'
import type { ServerHandlers } from './servers/server.ts'

const measurements: Record<string, Measurement> = {
  throughput,
  redirect,
  'waiting-polls': waitingPolls,
  'stored-grants': storedGrants,
  'start-and-memory': startAndMemory,
  'wrong-secrets': wrongSecrets,
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: Object.keys(measurements) },
    json: { type: 'string', default: 'data/bench.json' },
  },
})

mkdirSync('data', { recursive: true })
const home = mkdtempSync(join('data', 'bench-'))
const children = new Set<Child<never>>()
const folder = () => mkdtempSync(join(home, 'server-'))

async function start<H extends ServerHandlers>(
  file: string,
  directory: string,
  ...parameters: string[]
): Promise<Child<H>> {
  const child = new Child<ServerHandlers>(file, [directory, ...parameters], join(directory, 'log'))
  children.add(child as never)
  await child.call('site')
  return child as unknown as Child<H>
}

function startDriver(): Child<DriverHandlers> {
  const child = new Child<DriverHandlers>('driver.ts')
  children.add(child as never)
  return child
}

const bench: Bench = {
  quick: values.quick,
  driver: startDriver(),
  startDriver,
  startOurs: (at = folder()) => start<AuthAgentHandlers>('servers/auth-agent.ts', at),
  startPeer: (storage, at = folder()) => start('servers/oidc-provider.ts', at, storage),
  startLimit: () => start('servers/limit.ts', folder()),
  folder,
}

const results: Result[] = []
try {
  for (const name of values.only) {
    const measurement = measurements[name]
    if (measurement === undefined) throw new Error(`There is no measurement ${name}`)
    const result = await measurement(bench)
    results.push(result)
    console.log(`\n${result.title}\n\n${result.table}`)
  }
} finally {
  for (const child of children) await child.stop()
  rmSync(home, { recursive: true })
}

const goals = results.flatMap((result) => result.goals)
const rows = goals.map(({ what, goal, measured, reached }) => [
  what,
  goal,
  measured,
  reached ? 'yes' : 'no',
])
console.log(`\nGoals\n\n${table(['what', 'goal', 'measured', 'reached'], rows)}`)

const machine = { node: process.version, cores: cpus().length, processor: cpus()[0]?.model }
mkdirSync(dirname(values.json), { recursive: true })
writeFileSync(
  values.json,
  `${JSON.stringify({ machine, quick: values.quick, results }, null, 2)}\n`,
)
