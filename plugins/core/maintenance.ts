import type { FastifyInstance } from 'fastify'

/** In milliseconds. */
const EVERY = 60_000
/** Rows of a kind in one act, so that no answer waits long behind it. */
const BATCH = 500
/** For how many seconds what has expired can still be told from what never was. */
const KEPT = 3600

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
      const unseen = { before: now - app.settings.UNUSED_CLIENT_TTL, now, limit: BATCH }
      while (await app.store.clients.removeUnused(unseen));
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
