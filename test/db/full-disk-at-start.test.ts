import { readdirSync, rmSync } from 'node:fs'
import t from 'tap'
import { openStore } from '../../db/store.ts'
import { mountSmallDisk, whySkipped } from '../small-disk.ts'

t.test(
  'a disk that becomes full at any point of the first migration is named, and nothing stays',
  { skip: whySkipped() },
  async (t) => {
    const disk = mountSmallDisk(t, 48 * 1024 * 1024)
    const file = `${disk.folder}/auth-agent.db`
    const start = async () => await (await openStore(`sqlite:${file}`)).close()
    const refusals: unknown[] = []
    for (let rest = 0; rest < 1024 * 1024; rest += 48 * 1024) {
      disk.fill(rest)
      const refusal = await start().then(
        () => undefined,
        (error) => error,
      )
      disk.empty()
      if (refusal !== undefined) {
        refusals.push(refusal)
        t.match(refusal, { name: 'DatabaseUnavailableError', reason: 'disk full' }, `${rest} bytes`)
      }
      await start()
      for (const name of readdirSync(disk.folder)) rmSync(`${disk.folder}/${name}`)
    }
    t.ok(refusals.length > 3)
  },
)
