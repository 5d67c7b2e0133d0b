import t from 'tap'
import { getCode, redeem, refresh } from '../harness.ts'
import { makeFolder, register, startServer } from '../processes.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 10)
const CLIENTS = 16

/**
 * Kills a server in the middle of refreshes, again and again, and retries each refresh that had no
 * answer with the token that it was made with, as a client must. Prints how many sign-ins that cost.
 */
for (const grace of [0, 60]) {
  t.test(`kill -9 under refreshes, REFRESH_REUSE_GRACE=${grace}`, async (t) => {
    const folder = makeFolder(t)
    const environment = { REFRESH_REUSE_GRACE: String(grace) }
    let inFlight = 0
    let lost = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const server = await startServer(t, folder, environment)
      const { site, agents } = await register(folder)
      const [agent] = agents
      if (agent === undefined) throw new Error('no agent')
      const tokens = await Promise.all(
        Array.from({ length: CLIENTS }, async () => {
          const answer = await redeem(server.app, site, await getCode(server.app, site, agent))
          return answer.json().refresh_token as string
        }),
      )
      /** Refreshes until the server is gone; the token whose refresh had no answer. */
      const load = async (first: string): Promise<string> => {
        let token = first
        for (;;) {
          const answer = await refresh(server.app, site, token).catch(() => undefined)
          if (answer === undefined) return token
          if (answer.statusCode !== 200) throw new Error(answer.body)
          token = answer.json().refresh_token
        }
      }
      const loads = tokens.map(load)
      await new Promise((resolve) => setTimeout(resolve, 200 + Math.random() * 300))
      await server.stop('SIGKILL')
      const unanswered = await Promise.all(loads)

      const next = await startServer(t, folder, environment)
      for (const token of unanswered) {
        inFlight += 1
        if ((await refresh(next.app, site, token)).statusCode !== 200) lost += 1
      }
      await next.stop('SIGKILL')
    }
    const part = `${lost} of ${inFlight} refreshes in flight cost the client its sign-in`
    t.comment(`${part} (${Math.round((100 * lost) / inFlight)} %)`)
    if (grace > 0) t.equal(lost, 0, part)
    else t.ok(inFlight > 0, part)
  })
}
