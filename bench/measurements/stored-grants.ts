import { median, table, times, whole } from '../report.ts'
import { type Bench, measure, type Result, type Slice } from './measurement.ts'

/** How many of the stored grants are refreshed, far apart in the table. */
const REFRESHED = 20_000

/** Compares the cost of a refresh among many stored grants and among few. */
export async function storedGrants(bench: Bench): Promise<Result> {
  const seconds = bench.quick ? 1 : 3
  const sizes = await Promise.all(
    [1000, bench.quick ? 100_000 : 1_000_000].map(async (total) => {
      const ours = await bench.startOurs()
      const refreshTokens = await ours.call('storeGrants', total, REFRESHED)
      const load = { scenario: 'refresh' as const, connections: 64, seconds, refreshTokens }
      return { total, ours, load, slices: [] as Slice[] }
    }),
  )
  for (const { ours, load } of sizes) await measure(bench, ours, load)
  for (let round = 0; round < (bench.quick ? 3 : 5); round += 1) {
    for (const { ours, load, slices } of sizes) slices.push(await measure(bench, ours, load))
  }
  for (const { ours } of sizes) await ours.stop()

  const rows = sizes.map(({ total, slices }) => ({
    total,
    perSecond: median(slices.map(({ perSecond }) => perSecond)),
    cpu: median(slices.map(({ cpu }) => cpu)),
  }))
  const [few, many] = rows
  const ratio = (many?.cpu ?? Number.NaN) / (few?.cpu ?? Number.NaN)
  return {
    title: `Refresh among stored grants, ${whole(REFRESHED)} of them in turn`,
    table: table(
      ['stored grants', 'requests/s', 'CPU µs each'],
      rows.map(({ total, perSecond, cpu }) => [whole(total), whole(perSecond), whole(cpu)]),
    ),
    data: rows,
    goals: [
      {
        what: `CPU per refresh, ${whole(many?.total ?? 0)} against ${whole(few?.total ?? 0)} grants`,
        goal: 'at most 1.15 ×',
        measured: times(ratio),
        reached: ratio <= 1.15,
      },
    ],
  }
}
