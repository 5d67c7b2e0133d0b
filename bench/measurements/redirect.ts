import { milliseconds, table } from '../report.ts'
import type { Bench, Result } from './measurement.ts'

/** The time from an agent's authentication to the redirect of its browser, with 1,000 pages waiting. */
export async function redirect(bench: Bench): Promise<Result> {
  const ours = await bench.startOurs()
  const site = await ours.call('site')
  await bench.driver.call('wait', site, 1000)
  const { fromAnswer, fromQuestion } = await bench.driver.call(
    'redirect',
    site,
    bench.quick ? 200 : 1000,
    5,
  )
  await bench.driver.call('stopWaiting')
  await ours.stop()
  return {
    title: 'From the agent’s proof to the browser’s redirect, 1,000 pages waiting',
    table: table(
      ['', 'p50', 'p99'],
      [
        [
          'from the answer to the agent',
          milliseconds(fromAnswer.p50),
          milliseconds(fromAnswer.p99),
        ],
        [
          'from the agent’s question',
          milliseconds(fromQuestion.p50),
          milliseconds(fromQuestion.p99),
        ],
      ],
    ),
    data: { fromAnswer, fromQuestion },
    goals: [
      {
        what: 'agent’s proof to the browser’s redirect, p99',
        goal: 'below 50 ms',
        measured: milliseconds(fromQuestion.p99),
        reached: fromQuestion.p99 < 50,
      },
    ],
  }
}
