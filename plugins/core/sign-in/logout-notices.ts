import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { LogoutNotice } from '../../../db/store.ts'
import { OAuthError } from '../http/errors.ts'
import type { RemoteDocuments } from '../registry/remote-documents.ts'

/** How often it looks for what is due, in milliseconds. */
const EVERY = 2000
/** How many clients are told at the same time. */
const TOGETHER = 8
/** For how long a process has a notice to itself, in seconds: longer than all of a turn take. */
const CLAIMED = 60
/** When it is tried again after too many requests were under way, in seconds. */
const BUSY = 5
/** When a client that cannot be told is tried again, in seconds; after the last it is given up. */
const AGAIN = [10, 60, 600, 3600, 14_400]

/**
 * Tells clients that registered a `backchannel_logout_uri` of the end of a sign-in, whatever ended it
 * (OpenID Connect Back-Channel Logout 1.0). What is to be told is written with the act that ends the
 * sign-in, so that it survives a crash, and each notice is taken by one process. A client that cannot
 * be reached is tried six times within six hours.
 */
export class LogoutNotices {
  readonly #parts: Pick<FastifyInstance, 'clock' | 'faults' | 'log' | 'store' | 'tokens'>
  readonly #remote: Pick<RemoteDocuments, 'post'>
  #timer: NodeJS.Timeout | undefined
  #underWay: Promise<void> | undefined
  #stopped = false

  constructor(
    parts: Pick<FastifyInstance, 'clock' | 'faults' | 'log' | 'store' | 'tokens'>,
    remote: Pick<RemoteDocuments, 'post'>,
  ) {
    this.#parts = parts
    this.#remote = remote
  }

  start(): void {
    this.#timer = setInterval(() => void this.deliver(), EVERY)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#underWay
  }

  /** Tells what is due now; joins a run that is under way. */
  deliver(): Promise<void> {
    this.#underWay ??= this.#deliverAll()
      .catch((error) => {
        this.#parts.faults.report(this.#parts.log, error, 'clients could not be told of a logout')
      })
      .finally(() => {
        this.#underWay = undefined
      })
    return this.#underWay
  }

  async #deliverAll(): Promise<void> {
    const { clock, store } = this.#parts
    while (!this.#stopped) {
      const now = clock.now()
      if (!(await store.logoutNotices.isDue(now))) return
      const notices = await store.logoutNotices.claim(now, now + CLAIMED, TOGETHER)
      if (notices.length === 0) return
      // One at a time for each client, as the bounds for a host have it.
      const byClient = Object.values(Object.groupBy(notices, ({ client_id }) => client_id))
      await Promise.all(
        byClient.map(async (ofClient = []) => {
          for (const notice of ofClient) await this.#tell(notice)
        }),
      )
    }
  }

  async #tell(notice: LogoutNotice): Promise<void> {
    const { clock, log, store, tokens } = this.#parts
    const { grant_id, client_id, attempts } = notice
    const client = await store.clients.find(client_id)
    const uri = client?.backchannel_logout_uri
    if (client === undefined || uri === null || uri === undefined) {
      return await store.logoutNotices.delete(grant_id)
    }
    const logout_token = await tokens.signLogoutToken(client, notice)
    let status: number | undefined
    let err: unknown
    try {
      // Section 2.5: in a form, as `logout_token`.
      status = await this.#remote.post(uri, { logout_token })
    } catch (error) {
      if (error instanceof OAuthError) {
        // Too many requests are under way: this was no attempt.
        const again = clock.now() + BUSY
        return await store.logoutNotices.postpone(grant_id, again, attempts - 1)
      }
      err = error
    }
    // Section 2.8: 200, or 204 from some frameworks. A 400 is the client's own answer, and final.
    if (status === 200 || status === 204) {
      log.info({ client_id, grant_id }, 'client told of a logout')
      return await store.logoutNotices.delete(grant_id)
    }
    const wait = status === 400 ? undefined : AGAIN[attempts - 1]
    log.warn(
      { client_id, grant_id, status, attempts, err, again_in: wait },
      'client could not be told of a logout',
    )
    if (wait === undefined) await store.logoutNotices.delete(grant_id)
    else await store.logoutNotices.postpone(grant_id, clock.now() + wait, attempts)
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    logoutNotices: LogoutNotices
  }
}

export default fp(
  async (app) => {
    const { clock, faults, log, remoteDocuments, store, tokens } = app
    const notices = new LogoutNotices({ clock, faults, log, store, tokens }, remoteDocuments)
    app.decorate('logoutNotices', notices)
    notices.start()
    app.addHook('preClose', () => notices.stop())
  },
  {
    name: 'logoutNotices',
    dependencies: ['clock', 'faults', 'remoteDocuments', 'store', 'tokens'],
  },
)
