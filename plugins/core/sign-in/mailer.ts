import type { Transporter } from 'nodemailer'
import { OAuthError } from '../http/errors.ts'
import type { Settings } from '../settings.ts'

/** For how long the mail server may keep us waiting, in milliseconds, unless SMTP_URL says so. */
const TIMEOUTS = { connectionTimeout: 5000, greetingTimeout: 5000, socketTimeout: 10_000 }

export interface Mail {
  to: string
  subject: string
  text: string
}

/** Sends plain-text mail by the server that SMTP_URL names. */
export class Mailer {
  readonly #url: string | undefined
  readonly #from: string | undefined
  #transport: Promise<Transporter> | undefined

  constructor({ SMTP_URL, MAIL_FROM }: Pick<Settings, 'SMTP_URL' | 'MAIL_FROM'>) {
    this.#from = MAIL_FROM
    if (SMTP_URL === undefined) return
    const url = new URL(SMTP_URL)
    for (const [name, milliseconds] of Object.entries(TIMEOUTS)) {
      if (!url.searchParams.has(name)) url.searchParams.set(name, String(milliseconds))
    }
    this.#url = url.href
  }

  /** Whether there is a mail server to send by. */
  get works(): boolean {
    return this.#url !== undefined
  }

  /** @throws {OAuthError} temporarily_unavailable when the mail server did not take it */
  async send(mail: Mail): Promise<void> {
    if (this.#url === undefined) return
    try {
      this.#transport ??= connect(this.#url)
      await (await this.#transport).sendMail({ from: this.#from, ...mail })
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
