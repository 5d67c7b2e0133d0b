import type { Child } from '../calls.ts'
import type { Scenario } from '../driver.ts'
import { median, table, times, whole } from '../report.ts'
import type { ServerHandlers } from '../servers/server.ts'
import { type Bench, type Goal, measure, type Result, type Slice } from './measurement.ts'

const SERVERS = ['ours', 'oidc-provider, SQLite', 'oidc-provider, memory', 'limit'] as const
type Server = (typeof SERVERS)[number]

interface Cell {
  scenario: Scenario
  connections: number
  /** Medians of the rounds; without servers that do not support the scenario. */
  servers: Partial<Record<Server, Slice>>
}

const SCENARIOS: Scenario[] = [
  'refresh',
  'sign-in',
  'introspection',
  'userinfo',
  'client_credentials',
  'discovery',
  'key set',
]
/** The scenarios of the bare limit. */
const LIMITED: Scenario[] = ['refresh', 'discovery', 'key set']

/** Runs every scenario on every server, alternating between servers, and takes the medians. */
export async function throughput(bench: Bench): Promise<Result> {
  const ours = await bench.startOurs()
  const servers: Record<Server, Child<ServerHandlers>> = {
    ours,
    'oidc-provider, SQLite': await bench.startPeer('sqlite'),
    'oidc-provider, memory': await bench.startPeer('memory'),
    limit: await bench.startLimit(),
  }
  const grantTypes = await ours.call('grantTypes')
  const scenarios = SCENARIOS.filter(
    (scenario) => scenario !== 'client_credentials' || grantTypes.includes(scenario),
  )
  const cells: Cell[] = []
  for (const scenario of scenarios) {
    const few = scenario === 'sign-in' ? [16] : [64]
    for (const connections of bench.quick ? few : [1, 16, 64]) {
      const asked = SERVERS.filter((server) => server !== 'limit' || LIMITED.includes(scenario))
      cells.push({ scenario, connections, servers: await takeTurns(asked, connections, scenario) })
    }
  }
  for (const server of Object.values(servers)) await server.stop()
  return { title: 'Requests', table: toTable(cells), data: cells, goals: goals(cells) }

  async function takeTurns(asked: Server[], connections: number, scenario: Scenario) {
    const rounds = bench.quick ? 3 : 5
    const seconds = bench.quick ? 0.4 : 2
    const slices: Partial<Record<Server, Slice[]>> = {}
    for (const server of asked) {
      await measure(bench, servers[server], { scenario, connections, seconds: seconds / 2 })
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const server of asked) {
        const slice = await measure(bench, servers[server], { scenario, connections, seconds })
        slices[server] = [...(slices[server] ?? []), slice]
      }
    }
    return Object.fromEntries(
      asked.map((server) => [server, medians(slices[server] ?? [])]),
    ) as Cell['servers']
  }
}

function medians(slices: Slice[]): Slice {
  const of = (name: keyof Slice) => median(slices.map((slice) => slice[name]))
  return {
    requests: of('requests'),
    seconds: of('seconds'),
    p50: of('p50'),
    p99: of('p99'),
    perSecond: of('perSecond'),
    cpu: of('cpu'),
  }
}

/** Requests a second of Auth Agent relative to the peer; for CPU time, the inverse. */
function ratio(cell: Cell, server: Server, by: 'perSecond' | 'cpu' = 'perSecond'): number {
  const [ours, theirs] = [cell.servers.ours?.[by], cell.servers[server]?.[by]]
  if (ours === undefined || theirs === undefined) return Number.NaN
  return by === 'cpu' ? theirs / ours : ours / theirs
}

function toTable(cells: Cell[]): string {
  return table(
    [
      'requests/s (CPU µs each)',
      'connections',
      ...SERVERS,
      ...SERVERS.slice(1).map((s) => `ours / ${s}`),
    ],
    cells.map((cell) => [
      cell.scenario,
      whole(cell.connections),
      ...SERVERS.map((server) => {
        const slice = cell.servers[server]
        return slice ? `${whole(slice.perSecond)} (${whole(slice.cpu)})` : ''
      }),
      ...SERVERS.slice(1).map((server) =>
        cell.servers[server]
          ? `${times(ratio(cell, server))} (${times(ratio(cell, server, 'cpu'))})`
          : '',
      ),
    ]),
  )
}

function goals(cells: Cell[]): Goal[] {
  return [
    ...goal('refresh', 64, 'oidc-provider, SQLite', 4),
    ...goal('refresh', 64, 'oidc-provider, memory', 1.3),
    ...goal('refresh', 64, 'limit', 0.7),
    ...goal('sign-in', 16, 'oidc-provider, SQLite', 4),
    ...goal('sign-in', 16, 'oidc-provider, memory', 1.2),
    ...goal('introspection', 64, 'oidc-provider, SQLite', 2.5),
    ...goal('discovery', 64, 'oidc-provider, SQLite', 2.5),
    ...goal('key set', 64, 'oidc-provider, SQLite', 1),
  ]

  function goal(scenario: Scenario, connections: number, server: Server, least: number): Goal[] {
    const cell = cells.find((c) => c.scenario === scenario && c.connections === connections)
    if (cell === undefined) return []
    const [speed, cpu] = [ratio(cell, server), ratio(cell, server, 'cpu')]
    return [
      {
        what: `${scenario}, ${connections} connections, against ${server}`,
        goal: `at least ${times(least)}`,
        measured: `${times(speed)} (CPU ${times(cpu)})`,
        reached: speed >= least,
      },
    ]
  }
}
