import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import {
  credentialsFromEnvironment,
  generateKey,
  readCredentials,
  readKey,
  SignInError,
} from '../../agent/index.ts'
import { build, createAgent } from '../harness.ts'
import { makeFolder } from '../processes.ts'

t.test('generateKey makes a file for the owner alone and gives the public part', async (t) => {
  const file = join(makeFolder(t), 'agent.key')
  const public_jwk = await generateKey(file)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.notOk('d' in public_jwk)
  const app = await build(t)
  const { agent_id } = await createAgent(app)
  t.equal((await app.agentKeys.add(agent_id, public_jwk)).kid, public_jwk.kid, 'it registers')
  t.match(await readKey(file), { ...public_jwk, d: String })

  const before = readFileSync(file, 'utf8')
  await t.rejects(generateKey(file), { code: 'configuration' }, 'a key is never written over')
  t.equal(readFileSync(file, 'utf8'), before)
})

t.test('a key that others can read is refused', async (t) => {
  const file = join(makeFolder(t), 'agent.key')
  await generateKey(file)
  for (const mode of [0o640, 0o604, 0o660, 0o644]) {
    chmodSync(file, mode)
    await t.rejects(
      readKey(file),
      { code: 'configuration', message: `Others can read ${file}: chmod 600 it` },
      mode.toString(8),
    )
  }
  chmodSync(file, 0o400)
  await t.resolves(readKey(file))
})

t.test('what is no private key is refused without a word of it', async (t) => {
  const file = join(makeFolder(t), 'agent.key')
  for (const text of [
    'sehr-geheim',
    '{"kty":"EC","geheim":"sehr-geheim"}',
    '"sehr-geheim"',
    'null',
  ]) {
    writeFileSync(file, text, { mode: 0o600 })
    const error = await readKey(file).then(
      () => undefined,
      (error) => error,
    )
    t.match(error, { code: 'configuration', message: `${file} is not a private JSON Web Key` })
    t.notMatch(`${error.stack}${error.cause}`, /geheim/)
  }
  await t.rejects(readKey(`${file}.missing`), { code: 'configuration', message: /cannot be read/ })
})

t.test('credentials come from the environment, a key before a secret', async (t) => {
  const file = join(makeFolder(t), 'agent.key')
  await generateKey(file)
  const private_jwk = await readKey(file)
  const AUTH_AGENT_ID = 'agent_a'
  const agent_id = AUTH_AGENT_ID
  const AUTH_AGENT_KEY = JSON.stringify(private_jwk)
  const AUTH_AGENT_SECRET = 'ags_secret'
  const all = { AUTH_AGENT_ID, AUTH_AGENT_KEY_FILE: file, AUTH_AGENT_SECRET }
  t.same(await credentialsFromEnvironment(all), { agent_id, private_jwk })
  const keyed = { AUTH_AGENT_ID, AUTH_AGENT_KEY, AUTH_AGENT_SECRET }
  t.same(await credentialsFromEnvironment(keyed), { agent_id, private_jwk })
  t.same(await credentialsFromEnvironment({ AUTH_AGENT_ID, AUTH_AGENT_SECRET }), {
    agent_id,
    agent_secret: AUTH_AGENT_SECRET,
  })
  for (const environment of [
    {},
    { AUTH_AGENT_SECRET },
    { AUTH_AGENT_ID },
    { AUTH_AGENT_ID, AUTH_AGENT_KEY: '{' },
    // A key that cannot be used does not mean the secret.
    { AUTH_AGENT_ID, AUTH_AGENT_KEY_FILE: `${file}.missing`, AUTH_AGENT_SECRET },
  ]) {
    await t.rejects(credentialsFromEnvironment(environment), SignInError)
  }
})

t.test('a key path may be relative to the folder of the credentials file', async (t) => {
  const folder = makeFolder(t)
  await generateKey(join(folder, 'agent.key'))
  const private_jwk = await readKey(join(folder, 'agent.key'))
  const file = join(folder, 'agent.json')
  const agent_id = 'agent_a'
  writeFileSync(file, JSON.stringify({ agent_id, key_file: 'agent.key', agent_secret: '' }))
  for (const path of [file, relative(process.cwd(), file)]) {
    const environment = { AUTH_AGENT_CREDENTIALS_FILE: path }
    t.same(await credentialsFromEnvironment(environment), { agent_id, private_jwk })
    const both = { ...environment, AUTH_AGENT_ID: 'agent_b', AUTH_AGENT_KEY_FILE: 'agent.key' }
    t.same(await credentialsFromEnvironment(both), { agent_id: 'agent_b', private_jwk })
  }
})

t.test('a credentials file may hold a secret, as long as nobody else can read it', async (t) => {
  const file = join(makeFolder(t), 'agent.json')
  const secret = { agent_id: 'agent_a', agent_secret: 'ags_geheim' }
  writeFileSync(file, JSON.stringify(secret), { mode: 0o644 })
  await t.rejects(readCredentials(file), {
    code: 'configuration',
    message: `Others can read ${file}: chmod 600 it`,
  })
  chmodSync(file, 0o600)
  t.same(await readCredentials(file), secret)
  for (const text of ['', 'null', '[]', '{"agent_secret":"geheim"}', '{"agent_id":"agent_a"}']) {
    writeFileSync(file, text)
    const error = await readCredentials(file).catch((error) => error)
    t.match(error, { code: 'configuration' }, text)
    t.notMatch(`${error.stack}${error.cause}`, /geheim/)
  }
})
