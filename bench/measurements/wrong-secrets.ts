import { median, milliseconds, table, times } from '../report.ts'
import { type Bench, measure, type Result, type Slice } from './measurement.ts'

/** The latency of other clients while somebody tries wrong secrets. */
export async function wrongSecrets(bench: Bench): Promise<Result> {
  const ours = await bench.startOurs()
  const site = await ours.call('site')
  const guesser = bench.startDriver()
  const seconds = bench.quick ? 3 : 8
  const load = { scenario: 'refresh', connections: 16, seconds, rate: 300 } as const
  await measure(bench, ours, load)
  const quiet: Slice[] = []
  const storm: Slice[] = []
  const answers: Record<number, number>[] = []
  for (let round = 0; round < (bench.quick ? 1 : 3); round += 1) {
    quiet.push(await measure(bench, ours, load))
    const guesses = guesser.call('tryWrongSecrets', site, 8, seconds + 0.5)
    storm.push(await measure(bench, ours, load))
    answers.push(await guesses)
  }
  await guesser.stop()
  await ours.stop()
  const p99 = (slices: Slice[]) => median(slices.map((slice) => slice.p99))
  const p50 = (slices: Slice[]) => median(slices.map((slice) => slice.p50))
  const ratio = p99(storm) / p99(quiet)
  return {
    title: 'Refreshes (300 a second) while 8 connections try wrong secrets',
    table: table(
      ['', 'p50', 'p99'],
      [
        ['quiet', milliseconds(p50(quiet)), milliseconds(p99(quiet))],
        ['storm', milliseconds(p50(storm)), milliseconds(p99(storm))],
      ],
    ),
    data: { quiet, storm, answers },
    goals: [
      {
        what: 'p99 of token requests during a storm of wrong secrets',
        goal: 'at most 3.00 × the quiet one',
        measured: times(ratio),
        reached: ratio <= 3,
      },
    ],
  }
}
