import { setTimeout as sleep } from 'node:timers/promises'
import { median, milliseconds, table, times, whole } from '../report.ts'
import { type Bench, measure, type Result, type Slice } from './measurement.ts'

/** The cost of waiting pages: memory for each, and the latency of token requests meanwhile. */
export async function waitingPolls(bench: Bench): Promise<Result> {
  const count = bench.quick ? 2000 : 10_000
  const rounds = bench.quick ? 1 : 3
  const ours = await bench.startOurs()
  const site = await ours.call('site')
  const seconds = bench.quick ? 3 : 8
  const load = { scenario: 'refresh', connections: 16, seconds, rate: 300 } as const
  await measure(bench, ours, load)

  const one: Slice[] = []
  const many: Slice[] = []
  const bytes: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    await bench.driver.call('wait', site, 1)
    one.push(await measure(bench, ours, load))
    const before = await ours.call('resident')
    await bench.driver.call('stopWaiting')
    await bench.driver.call('wait', site, count)
    many.push(await measure(bench, ours, load))
    bytes.push(((await ours.call('resident')) - before) / (count - 1))
    await bench.driver.call('stopWaiting')
    await sleep(1000)
  }
  await ours.stop()
  const quiet = median(one.map(({ p99 }) => p99))
  const busy = median(many.map(({ p99 }) => p99))
  const kibibytes = (bytes[0] ?? Number.NaN) / 1024
  return {
    title: 'Waiting polls: 300 refreshes a second beside them',
    table: table(
      ['waiting polls', 'refresh p50', 'refresh p99'],
      [
        ['1', milliseconds(median(one.map(({ p50 }) => p50))), milliseconds(quiet)],
        [whole(count), milliseconds(median(many.map(({ p50 }) => p50))), milliseconds(busy)],
      ],
    ),
    data: { count, one, many, bytes },
    goals: [
      {
        what: `${whole(count)} waiting polls, memory of each`,
        goal: 'at most 20 KiB',
        measured: `${kibibytes.toFixed(1)} KiB`,
        reached: kibibytes <= 20,
      },
      {
        what: `${whole(count)} waiting polls, token p99`,
        goal: 'at most 2.00 × that with one',
        measured: times(busy / quiet),
        reached: busy / quiet <= 2,
      },
    ],
  }
}
