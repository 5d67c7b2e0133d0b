import type { FastifyInstance } from 'fastify'

/** In milliseconds. */
const EVERY = 60_000
/** Rows of a kind in one act, so that no answer waits long behind it. */
const BATCH = 500
/** Unused pages that are given back to the disk in one act. */
const PAGES = 200
/** For how many seconds what has expired can still be told from what never was. */
const KEPT = 3600
/** For how many seconds an unused client is kept that its metadata document can make again. */
const DOCUMENT_CLIENT_KEPT = 86_400

/** Removes what has expired, in small batches, and rotates the signing key when it is due. */
export function startMaintenance(
  app: Pick<FastifyInstance, 'addHook' | 'clock' | 'keys' | 'log' | 'settings' | 'store'>,
): void {
  async function maintain(): Promise<void> {
    try {
      await app.keys.rotateWhenDue()
      const now = app.clock.now()
      const before = now - Math.max(KEPT, app.settings.ACCESS_TOKEN_TTL)
      const events_before = now - app.settings.AUDIT_RETENTION
      while (await app.store.maintenance.sweep({ before, events_before, limit: BATCH }));
      for (const [origin, kept] of [
        ['dynamic', app.settings.UNUSED_CLIENT_TTL],
        ['document', DOCUMENT_CLIENT_KEPT],
      ] as const) {
        const unused = { origin, before: now - kept, now, limit: BATCH }
        while (await app.store.clients.removeUnused(unused));
      }
      while (await app.store.reclaim(PAGES));
    } catch (error) {
      app.log.error({ err: error }, 'maintenance failed')
    }
  }
  let underWay: Promise<void> | undefined
  const timer = setInterval(() => {
    underWay ??= maintain().finally(() => {
      underWay = undefined
    })
  }, EVERY)
  timer.unref()
  app.addHook('preClose', async () => {
    clearInterval(timer)
    await underWay
  })
}
