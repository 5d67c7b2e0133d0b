import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildApp } from '../../plugins/app.ts'
import { authenticate, createAgent, createSite, open, post, redeem, refresh } from '../harness.ts'
import { makeFolder } from '../processes.ts'

t.test(
  'no secret, code, token, cookie or private key is in the logs or the database',
  async (t) => {
    const folder = makeFolder(t)
    const lines: string[] = []
    const app = await buildApp(
      { DATABASE_URL: `sqlite:${join(folder, 'data.db')}`, LOG_LEVEL: 'trace' },
      { logStream: { write: (line: string) => void lines.push(line) } },
    )
    const secret: Record<string, string> = {}
    const site = await createSite(app)
    const agent = await createAgent(app)
    secret.client_secret = site.client_secret ?? ''
    secret.agent_secret = agent.agent_secret

    const { request_id, code_verifier, cookie } = await open(app, site)
    secret.cookie = cookie.split('=')[1] ?? ''
    secret.code_verifier = code_verifier
    const { redirect_to } = (await authenticate(app, request_id, agent)).json()
    const code = new URL(redirect_to).searchParams.get('code') ?? ''
    secret.code = code
    const status = { url: `/api/check-status?request_id=${request_id}`, headers: { cookie } }
    await app.inject(status)
    const first = (await redeem(app, site, { code, code_verifier })).json()
    const second = (await refresh(app, site, first.refresh_token)).json()
    Object.assign(secret, {
      access_token: first.access_token,
      refresh_token: first.refresh_token,
      second_access_token: second.access_token,
      second_refresh_token: second.refresh_token,
    })
    const authorization = `Bearer ${second.access_token}`
    await app.inject({ url: '/userinfo', headers: { authorization } })
    await app.inject({ url: `/userinfo?access_token=${second.access_token}` })
    await post(app, '/introspect', site, { token: second.refresh_token })

    // What goes wrong is logged too: the same secrets where they do not belong.
    const { client_id, client_secret = '' } = site
    const basic = `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`
    secret.basic = basic.slice('Basic '.length)
    await post(app, '/token', site, { code }, { authorization: basic })
    await authenticate(app, request_id, agent)
    await authenticate(app, agent.agent_secret, agent, { model: '' })
    await post(app, '/token', site, { grant_type: code })
    await app.inject({ url: `/%ZZ?client_secret=${client_secret}&code=${code}` })
    await app.inject({ url: `/nothing/${code}?client_secret=${client_secret}` })
    await app.inject({ url: `/authorize?client_id=${client_secret}&state=${code}` })
    await app.inject({
      method: 'POST',
      url: '/token',
      headers: { 'content-type': 'application/json' },
      payload: `{"client_secret":"${client_secret}","code":"${code}",}`,
    })
    await redeem(app, site, { code, code_verifier })
    await post(app, '/revoke', site, { token: second.refresh_token })
    await app.keys.rotate(true)

    // node:crypto makes keys whose private member is `d`; it is what must not be found.
    const files = () =>
      readdirSync(folder)
        .filter((name) => name.startsWith('data.db') && !name.endsWith('.key'))
        .map((name) => readFileSync(join(folder, name), 'latin1'))
    const open_ = files()
    await app.close()
    const database = [...open_, ...files()].join('\n')
    t.ok(database.includes(client_id), 'the database was read')
    t.ok(lines.length > 15, 'the log was read')
    const log = lines.join('')
    for (const [name, value] of Object.entries(secret)) {
      t.ok(value.length > 20, `${name} is one`)
      t.notOk(log.includes(value), `the log has no ${name}`)
      t.notOk(database.includes(value), `the database has no ${name}`)
    }
    for (const text of [log, database]) {
      t.notMatch(text, /"d":"/, 'no private key')
      t.notMatch(text, /PRIVATE KEY/, 'no private key')
      t.notMatch(text, /"authorization":|"cookie":/, 'no header')
    }
    const key = readFileSync(join(folder, 'data.db.key'), 'utf8').trim()
    t.notOk(log.includes(key) || database.includes(key), 'the encryption key is in its file alone')
  },
)
