import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import Database from 'better-sqlite3'
import t from 'tap'
import { codeCache } from '../processes.ts'
import { freePort, fresh, json, run, serve } from './command.ts'

t.test('owners are invited, listed, shown, disabled, signed out and removed', async (t) => {
  const environment = fresh(t)
  const [email, other] = ['me@example.com', 'other@example.com']
  const invited = await json(environment, 'owner', 'invite', email, '--operator')
  t.same(Object.keys(invited), ['owner_id', 'email', 'operator', 'invitation_url', 'expires_at'])
  t.match(invited, {
    owner_id: /^owner_/,
    email,
    operator: true,
    invitation_url: /^http:\/\/localhost:8080\/account\/invitation\?token=inv_[\w-]{43}$/,
  })
  const { owner_id } = invited
  const again = await run(environment, 'owner', 'invite', email)
  t.match(again.out, 'the way back in')
  const [owner] = await json(environment, 'owner', 'list')
  t.match(owner, { owner_id, email_verified: false, operator: true, disabled_at: null })
  for (const act of ['disable', 'delete']) {
    const refused = await run(environment, 'owner', act, owner_id)
    t.equal(refused.code, 1, act)
    t.match(refused.err, /last operator[\s\S]*--even-if-last/)
  }
  const agent = await json(environment, 'agent', 'create', '--email', email)
  t.equal(agent.owner_id, null)
  t.match(await json(environment, 'owner', 'verify', owner_id), { email_verified: true })
  const shown = await json(environment, 'owner', 'show', owner_id)
  t.match(shown, { agents: [agent.agent_id], passkeys: [], sessions: [] })
  t.match(await json(environment, 'owner', 'sign-out', owner_id), { signed_out: true })
  const { owner_id: second } = await json(environment, 'owner', 'invite', other, '--verified')
  t.match(await json(environment, 'owner', 'disable', second), { disabled_at: Number })
  t.match((await run(environment, 'owner', 'invite', other)).err, 'enable it first')
  t.match(await json(environment, 'owner', 'enable', second), { disabled_at: null })
  t.match(await json(environment, 'owner', 'delete', second), { deleted: true })
  const disable = ['owner', 'disable', owner_id, '--agents', '--even-if-last']
  t.match(await json(environment, ...disable), { disabled_at: Number })
  t.match(await json(environment, 'agent', 'show', agent.agent_id), { disabled_at: Number })
  t.match((await run(environment, 'owner', 'show', 'owner_none')).err, 'There is no owner_none')
  t.equal((await run(environment, 'owner', 'invite', 'a, b@example.com')).code, 1)
  t.match((await run(environment, 'owner', 'invite', other, '--mail')).err, 'SMTP_URL is not set')

  const address = { ...environment, ISSUER: 'http://127.0.0.1:8080' }
  t.match((await run(address, 'owner', 'invite', other)).out, 'Set ISSUER to a name')
})

t.test('a server that moved to another host says which passkeys are lost', async (t) => {
  const environment = fresh(t)
  const { owner_id } = await json(environment, 'owner', 'invite', 'me@example.com')
  const database = new Database(environment.DATABASE_URL?.replace('sqlite:', ''))
  database
    .prepare("INSERT INTO passkeys VALUES ('key', ?, 'x', 0, '[]', 'old.example', 'Key', 1, NULL)")
    .run(owner_id)
  database.close()
  const { child, lines } = await serve(t, environment)
  for (let wait = 0; wait < 100 && lines.length < 2; wait += 1) await setTimeout(50)
  child.kill('SIGTERM')
  t.match(
    lines.map(({ msg }) => msg).join('\n'),
    /a passkey was made for another host.*owner invite/,
  )
})

const hasScript = spawnSync('script', ['--version']).status === 0

t.test(
  'who starts a new server in a terminal reads how to become its operator',
  { skip: !hasScript && 'script(1) is not installed here' },
  async (t) => {
    const environment = fresh(t)
    const program = join(import.meta.dirname, '../../scripts/auth-agent.js')
    const read = async () => {
      const command = `${process.execPath} ${program} serve`
      const child = spawn('script', ['-qec', command, '/dev/null'], {
        env: {
          ...codeCache,
          ...environment,
          PORT: String(await freePort()),
          PATH: process.env.PATH,
        },
        stdio: ['pipe', 'pipe', 'ignore'],
      })
      let text = ''
      child.stdout.on('data', (data) => {
        text += data
      })
      for (let wait = 0; wait < 200 && !text.includes('serving'); wait += 1) await setTimeout(50)
      await setTimeout(500)
      // What a terminal sends for Ctrl-C.
      child.stdin.write('\u0003')
      await new Promise((resolve) => child.once('exit', resolve))
      return text
    }
    t.match(await read(), /owner invite YOU@EXAMPLE.COM --operator --verified/)
    await json(environment, 'owner', 'invite', 'me@example.com', '--operator')
    t.notMatch(await read(), 'owner invite')
  },
)
