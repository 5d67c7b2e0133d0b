import fp from 'fastify-plugin'
import type { Transporter } from 'nodemailer'
import { type NamedMailbox, normalMailbox, parseSender } from '../../../schemas/mailbox.ts'
import { isLoopback } from '../../../schemas/uri.ts'
import { OAuthError } from '../http/errors.ts'
import type { Settings } from '../settings.ts'

/** Timeouts for the mail server, in milliseconds, where SMTP_URL does not set them. */
const TIMEOUTS = { connectionTimeout: 5000, greetingTimeout: 5000, socketTimeout: 10_000 }

export interface Mail {
  to: string
  subject: string
  text: string
}

/**
 * Sends plain-text mail by the server that SMTP_URL names. Nothing is sent in the clear, neither the
 * password nor a mail, unless that server is on this machine or SMTP_URL says `requireTLS=false`.
 */
export class Mailer {
  readonly #url: string | undefined
  readonly #from: NamedMailbox | undefined
  #transport: Promise<Transporter> | undefined

  constructor({ SMTP_URL, MAIL_FROM }: Pick<Settings, 'SMTP_URL' | 'MAIL_FROM'>) {
    this.#from = MAIL_FROM === undefined ? undefined : parseSender(MAIL_FROM)
    if (SMTP_URL === undefined) return
    const url = new URL(SMTP_URL)
    for (const [name, milliseconds] of Object.entries(TIMEOUTS)) {
      if (!url.searchParams.has(name)) url.searchParams.set(name, String(milliseconds))
    }
    if (!isLoopback(url.hostname.toLowerCase()) && !url.searchParams.has('requireTLS')) {
      url.searchParams.set('requireTLS', 'true')
    }
    this.#url = url.href
  }

  /** Whether there is a mail server to send by. */
  get works(): boolean {
    return this.#url !== undefined
  }

  /**
   * @throws {OAuthError} temporarily_unavailable when the mail server did not accept it;
   *   access_denied for an address, registered under older rules, that is not one mailbox
   */
  async send({ to, ...mail }: Mail): Promise<void> {
    if (this.#url === undefined || this.#from === undefined) return
    const address = normalMailbox(to)
    if (address === undefined) {
      throw new OAuthError(
        'access_denied',
        'The owner cannot be asked: the e-mail address that is registered for this agent is not valid, the operator has to correct it',
        { reason: 'owner' },
      )
    }
    try {
      this.#transport ??= connect(this.#url)
      // Addresses go as objects, which nodemailer does not parse as lists.
      await (await this.#transport).sendMail({
        ...mail,
        from: this.#from,
        to: { name: '', address },
        envelope: { from: this.#from.address, to: [address] },
      })
    } catch (cause) {
      throw new OAuthError('temporarily_unavailable', 'The mail to the owner could not be sent', {
        headers: { 'retry-after': '60' },
        cause,
      })
    }
  }

  async close(): Promise<void> {
    ;(await this.#transport)?.close()
  }
}

/** Loaded when it is first needed: most servers send no mail. */
async function connect(url: string): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  return createTransport(url)
}

declare module 'fastify' {
  interface FastifyInstance {
    mailer: Mailer
  }
}

export default fp(
  async (app) => {
    const mailer = new Mailer(app.settings)
    app.decorate('mailer', mailer)
    app.addHook('onClose', () => mailer.close())
  },
  { name: 'mailer', dependencies: ['settings'] },
)
