import t from 'tap'
import { authenticate, type Code, getCode, open, post, redeem, refresh } from '../harness.ts'
import { makeFolder, register, startServer } from '../processes.ts'

t.test('after kill -9 under load every answer that had been given still holds', async (t) => {
  const folder = makeFolder(t)
  const first = await startServer(t, folder)
  const { site, agents } = await register(folder, 2)

  const redeemed: Code[] = []
  const fresh: Code[] = []
  const rotated: string[] = []
  const successors: string[] = []
  const authenticated: string[] = []
  const revoked: string[] = []

  /** Signs in again and again and notes what it was told, until the server is gone. */
  async function load(app: typeof first.app, who: number): Promise<void> {
    const agent = agents[who % agents.length]
    if (agent === undefined) throw new Error('no agent')
    for (;;) {
      try {
        const code = await getCode(app, site, agent)
        const answer = await redeem(app, site, code)
        if (answer.statusCode !== 200) throw new Error(answer.body)
        redeemed.push(code)
        const { refresh_token } = answer.json()
        const refreshed = await refresh(app, site, refresh_token)
        if (refreshed.statusCode !== 200) throw new Error(refreshed.body)
        rotated.push(refresh_token)
        if (who % 2 === 0) {
          const token = refreshed.json().refresh_token
          const { statusCode } = await post(app, '/revoke', site, { token })
          if (statusCode === 200) revoked.push(token)
        } else successors.push(refreshed.json().refresh_token)
        const { request_id } = await open(app, site)
        const { statusCode } = await authenticate(app, request_id, agent)
        if (statusCode === 200) authenticated.push(request_id)
        fresh.push(await getCode(app, site, agent))
      } catch (error) {
        if (error instanceof TypeError) return
        throw error
      }
    }
  }

  const enough = () => successors.length > 5 && revoked.length > 5 && fresh.length > 5
  const loads = Array.from({ length: 6 }, (_, who) => load(first.app, who))
  for (let tenths = 0; tenths < 200 && !enough(); tenths++) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await first.stop('SIGKILL')
  await Promise.all(loads)
  t.ok(enough(), 'there was load')

  const { app } = await startServer(t, folder)
  const [agent] = agents
  if (agent === undefined) throw new Error('no agent')
  for (const code of last(fresh)) t.equal((await redeem(app, site, code)).statusCode, 200, 'a code')
  for (const token of last(successors)) {
    t.equal((await refresh(app, site, token)).statusCode, 200, 'an issued refresh token refreshes')
  }
  for (const token of [...last(revoked), ...last(rotated)]) {
    t.equal((await refresh(app, site, token)).statusCode, 400, 'a revoked or rotated one does not')
  }
  for (const code of last(redeemed)) {
    t.equal((await redeem(app, site, code)).statusCode, 400, 'a redeemed code stays redeemed')
  }
  for (const request_id of last(authenticated)) {
    const { statusCode } = await authenticate(app, request_id, agent)
    t.equal(statusCode, 409, 'an authenticated request stays authenticated')
  }
})

/** What was told last is what a crash could have lost. */
function last<T>(told: T[]): T[] {
  return told.slice(-12)
}
