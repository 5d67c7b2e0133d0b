import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { RESERVE_BYTES } from '../../db/reserve.ts'
import {
  build,
  createAgent,
  createSite,
  getCode,
  post,
  redeem,
  refresh,
  type Site,
  signIn,
} from '../harness.ts'
import { mountSmallDisk, type SmallDisk, whySkipped } from '../small-disk.ts'

const MEBIBYTE = 2 ** 20
const skip = whySkipped()

/** Asks until it says so. */
async function until(app: FastifyInstance, statusCode: number): Promise<string> {
  for (let tries = 0; tries < 400; tries += 1) {
    const response = await app.inject('/readyz')
    if (response.statusCode === statusCode) return response.body
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`/readyz never answered ${statusCode}`)
}

type Line = Record<string, unknown>

const isFull = ({ reason, msg }: Line) => reason === 'disk full' && /is full/.test(`${msg}`)

/**
 * Opens sign-ins until the disk takes no more, and there is nothing left to free. Their states are
 * long, so that it is soon.
 */
async function fillWithRequests(app: FastifyInstance, site: Site, lines: Line[]): Promise<void> {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: site.client_id,
    redirect_uri: site.redirect_uri,
    state: 'x'.repeat(4000),
    code_challenge: 'c'.repeat(43),
    code_challenge_method: 'S256',
  })
  const request = { url: `/authorize?${query}`, headers: { accept: 'application/json' } }
  for (let rounds = 0; rounds < 1000; rounds += 1) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => app.inject(request)))
    const bad = answers.find(({ statusCode }) => ![200, 503].includes(statusCode))
    if (bad !== undefined) throw new Error(bad.body)
    // The look at the disk tells when there is nothing left to free.
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (lines.some(isFull)) return
  }
  throw new Error('The disk never got full')
}

async function makeServer(t: Test, disk: SmallDisk) {
  const file = join(disk.folder, 'data.db')
  const lines: Line[] = []
  const start = () =>
    build(
      t,
      {
        DATABASE_URL: `sqlite:${file}`,
        LOG_LEVEL: 'info',
        PENDING_REQUESTS: 1_000_000,
        PENDING_REQUESTS_PER_NETWORK: 1_000_000,
      },
      { logStream: { write: (line) => void lines.push(JSON.parse(line)) } },
    )
  const app = await start()
  const site = await createSite(app)
  const agent = await createAgent(app)
  await until(app, 200)
  return { file, lines, start, app, site, agent }
}

t.test(
  'on a full disk reads and revocations go on, and sign-ins when there is room',
  { skip },
  async (t) => {
    const disk = mountSmallDisk(t, 48 * MEBIBYTE)
    const { file, lines, start, app, site, agent } = await makeServer(t, disk)
    const first = await signIn(app, site, agent)
    const second = await signIn(app, site, agent)
    const third = await signIn(app, site, agent)
    const code = await getCode(app, site, agent)
    await app.inject('/.well-known/jwks.json')
    disk.fill(2 * MEBIBYTE)
    await fillWithRequests(app, site, lines)

    t.match(await until(app, 503), 'disk full')
    const told = lines.filter(isFull)
    t.match(
      told,
      [{ database: file, missing_bytes: Number }],
      'it is logged once, with what is needed',
    )
    t.ok(Number(told[0]?.missing_bytes) > 0)
    const introspect = async (server: FastifyInstance, token: string) =>
      (await post(server, '/introspect', site, { token })).json().active
    t.equal(await introspect(app, first.access_token), true, 'reads go on')
    t.equal((await redeem(app, site, code)).statusCode, 503, 'sign-ins do not')
    const revoked = await post(app, '/revoke', site, { token: first.refresh_token ?? '' })
    t.equal(revoked.statusCode, 200, 'revocations do')
    t.equal(await introspect(app, first.access_token), false)

    await app.close()
    const restarted = await start()
    t.equal(await introspect(restarted, second.access_token), true, 'after a restart, too')
    const again = await post(restarted, '/revoke', site, { token: second.refresh_token ?? '' })
    t.equal(again.statusCode, 200)
    t.equal(await introspect(restarted, second.access_token), false)

    disk.empty()
    await until(restarted, 200)
    t.equal((await redeem(restarted, site, code)).statusCode, 200, 'with room all is as before')
    t.equal((await refresh(restarted, site, third.refresh_token)).statusCode, 200)
    t.equal(statSync(`${file}-reserve`).size, RESERVE_BYTES)
  },
)

t.test('the write-ahead log keeps no space that the disk needs', { skip }, async (t) => {
  const disk = mountSmallDisk(t, 48 * MEBIBYTE)
  const { file, lines, app, site } = await makeServer(t, disk)
  disk.fill(3 * MEBIBYTE)
  await fillWithRequests(app, site, lines)
  await until(app, 503)
  const held = () => statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0
  for (let tries = 0; tries < 400 && held() > MEBIBYTE; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  t.ok(held() <= MEBIBYTE, `${held()} bytes in the log`)
  t.ok(disk.free() > MEBIBYTE || existsSync(`${file}-reserve`), 'there is room to revoke')
})

t.test('what is expired can be removed while the disk is full', { skip }, async (t) => {
  const disk = mountSmallDisk(t, 48 * MEBIBYTE)
  const { lines, app, site, agent } = await makeServer(t, disk)
  disk.fill(8 * MEBIBYTE)
  await fillWithRequests(app, site, lines)
  await until(app, 503)
  const before = app.clock.now() + 86_400
  while (await app.store.authorizationRequests.removeUnproved(before));
  while (await app.store.reclaim(200));
  await until(app, 200)
  t.equal((await redeem(app, site, await getCode(app, site, agent))).statusCode, 200)
})
