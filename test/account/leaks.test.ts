import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SoftwarePasskey } from '../authenticator.ts'
import { build } from '../harness.ts'
import { createMailbox } from '../mailbox.ts'
import { makeFolder } from '../processes.ts'
import { cookieOf, send, signInWithPasskey, tokenOf } from './owner.ts'

t.test(
  'no invitation, session, code or challenge of an owner is in the logs or the database',
  async (t) => {
    const folder = makeFolder(t)
    const mailbox = await createMailbox(t)
    let log = ''
    const app = await build(
      t,
      {
        DATABASE_URL: `sqlite:${join(folder, 'auth-agent.db')}`,
        LOG_LEVEL: 'trace',
        SMTP_URL: mailbox.url,
        MAIL_FROM: 'auth@example.com',
      },
      {
        logStream: {
          write: (line) => {
            log += line
          },
        },
      },
    )
    const token = tokenOf((await app.owners.invite('owner@example.com')).invitation_url)
    await app.inject(`/account/invitation?token=${token}`)
    const passkey = new SoftwarePasskey(app.settings.ISSUER)
    const options = (await send(app, '/account/invitation/options', { token })).json()
    const answer = JSON.stringify(passkey.create(options))
    const accepted = await send(app, '/account/invitation', { token, name: 'x', passkey: answer })
    const again = await signInWithPasskey(app, passkey)
    const waiting = (await send(app, '/account/sign-in/options')).json()
    const unused = tokenOf((await app.owners.invite('owner@example.com')).invitation_url)
    await app.inject(`/account/invitation?token=${unused}`)
    const asked = await send(app, '/account/sign-in/mail', { email: 'owner@example.com' })
    await app.mailCodes.settle()
    const code = mailbox.mails[0]?.match(/^ {2}(\d{6})\r?$/m)?.[1] ?? ''
    await send(app, '/account/sign-in/code', { code: 'wrong' }, { cookie: cookieOf(asked) })
    const secrets = {
      token,
      unused,
      session: cookieOf(accepted).split('=')[1] ?? '',
      session_2: cookieOf(again).split('=')[1] ?? '',
      browser: cookieOf(asked).split('=')[1] ?? '',
      challenge: waiting.challenge,
    }
    const stored = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'latin1'))
    for (const [name, secret] of Object.entries(secrets)) {
      t.ok(secret.length > 20, name)
      t.notOk(log.includes(secret), `${name} in the log`)
      t.notOk(
        stored.some((file) => file.includes(secret)),
        `${name} in the database`,
      )
    }
    t.match(code, /^\d{6}$/)
    t.notOk(log.includes(`"${code}"`))
    t.match(log, '/account/invitation')
  },
)
