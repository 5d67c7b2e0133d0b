import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildApp } from '../../plugins/app.ts'
import { completeSettings, readEnvironment, SettingsError } from '../../plugins/core/settings.ts'
import { makeFolder } from '../processes.ts'

t.test('every bad setting is named in one message', async (t) => {
  const bad = {
    ISSUER: 'http://example.com',
    PORT: '99999',
    DATABASE_URL: 'mysql://x',
    LOG_LEVEL: 'loud',
    ENCRYPTION_KEY: 'short',
    TRUST_PROXY: 'nonsense',
    ACCESS_TOKEN_TTL: '0',
    REFRESH_TOKEN_TTL: 'long',
    AUTHORIZATION_REQUEST_TTL: '-1',
    AUTHORIZATION_CODE_TTL: '601',
    REFRESH_REUSE_GRACE: '1.5x',
  }
  try {
    readEnvironment(bad)
    t.fail('they are bad')
  } catch (error) {
    t.type(error, SettingsError)
    const { message } = error as Error
    for (const name of Object.keys(bad)) t.match(message, new RegExp(`^ {2}${name}\\b`, 'm'), name)
    t.equal(message.split('\n').length, Object.keys(bad).length + 1, 'each once')
    t.notMatch(message, 'short', 'a key is not shown')
  }
})

t.test('RFC 8414 section 2: what an issuer may be', async (t) => {
  for (const ISSUER of [
    'https://a.example',
    'https://a.example:8443',
    'http://127.0.0.1:8080',
    'http://[::1]:1',
  ]) {
    t.equal(completeSettings({ ISSUER }).ISSUER, ISSUER)
  }
  for (const ISSUER of [
    'a.example',
    'https://a.example/',
    'https://a.example?x',
    'https://a.example#x',
    'https://u:p@a.example',
    'https://A.example',
    'https://a.example:443',
    'http://a.example',
    'http://localhost.a.example',
    'ftp://localhost',
  ]) {
    t.throws(() => completeSettings({ ISSUER }), SettingsError, ISSUER)
  }
})

t.test('proxies are addresses, networks or their names', async (t) => {
  for (const TRUST_PROXY of ['10.0.0.1', '10.0.0.0/8, ::1', 'loopback', 'fd00::/8']) {
    t.equal(completeSettings({ TRUST_PROXY }).TRUST_PROXY, TRUST_PROXY)
  }
  for (const TRUST_PROXY of [
    'true',
    '10.0.0.0/33',
    '10.0.0.256',
    'loopback,',
    'example.com',
    '10.0.0.0/0',
    '::/0',
  ]) {
    t.throws(() => completeSettings({ TRUST_PROXY }), SettingsError, TRUST_PROXY)
  }
})

t.test('a list of hosts with an entry that is not a host stops the start', async (t) => {
  const names = ['CLIENT_ID_METADATA_ALLOWED_HOSTS', 'CLIENT_ID_METADATA_DENIED_HOSTS'] as const
  const bad = [
    '*',
    '*.',
    '.',
    '.x',
    '*x.example',
    '*.*.example',
    'a.*.example',
    'https://x',
    '//x',
    'x/',
    'x:443',
    'x:8443',
    '*.x:443',
    '[::1]:443',
    'user@x',
    'a b',
    'a..b',
    'x?',
    'x#',
    'x%2e',
    '*.10.0.0.1',
    '*.[::1]',
    'http:x',
    '\u200b',
    ',',
    'x,',
  ]
  for (const name of names) {
    for (const entry of bad) {
      const both = `good.example,${entry}`
      for (const value of [entry, both]) {
        t.throws(() => completeSettings({ [name]: value }), { message: new RegExp(name) }, value)
      }
    }
    for (const value of ['x.example', '*.x', 'X.example., bücher.example', '10.0.0.1,[::1]', '']) {
      t.doesNotThrow(() => completeSettings({ [name]: value }), value)
    }
  }
  try {
    completeSettings({
      CLIENT_ID_METADATA_ALLOWED_HOSTS: 'x.example, https://one , y.example, two:443',
      CLIENT_ID_METADATA_DENIED_HOSTS: '*',
      TRUST_PROXY: '10.0.0.1, three, four',
    })
    t.fail('they are bad')
  } catch (error) {
    const { message } = error as Error
    t.match(
      message,
      /CLIENT_ID_METADATA_ALLOWED_HOSTS=.*: "https:\/\/one", "two:443": must be a host/,
    )
    t.match(message, /CLIENT_ID_METADATA_DENIED_HOSTS=.*: "\*": must be a host/)
    t.match(message, /TRUST_PROXY=.*: "three", "four": not an address or a network/)
  }
})

t.test('a private host that is not a host, or is never allowed, stops the start', async (t) => {
  const bad = [
    '*',
    '*.',
    'https://nas.home.arpa',
    'nas.home.arpa:8443',
    'nas.home.arpa/keys',
    '192.168.0.0/16',
    'nas.home.arpa none',
    'nas.home.arpa,',
    'none,nas.home.arpa',
    'nas.home.arpa, none',
    '*.192.168.1.1',
    'fd00::1',
    '169.254.169.254',
    '[fe80::1]',
    '[::ffff:169.254.169.254]',
    '[fd00:ec2::254]',
    '100.100.100.200',
  ]
  for (const PRIVATE_HOSTS of bad) {
    t.throws(() => completeSettings({ PRIVATE_HOSTS }), { message: /PRIVATE_HOSTS=.*must be/ })
  }
  for (const PRIVATE_HOSTS of [
    'none',
    ' none ',
    'nas.home.arpa',
    '*.home.arpa, NAS.local.',
    '192.168.1.5,[fd00::1]',
    'localhost',
    '',
  ]) {
    t.doesNotThrow(() => completeSettings({ PRIVATE_HOSTS }), PRIVATE_HOSTS)
  }
  t.equal(completeSettings({}).PRIVATE_HOSTS, 'none')
})

t.test('the database alone signs nothing: another encryption key stops the start', async (t) => {
  const folder = makeFolder(t)
  const DATABASE_URL = `sqlite:${join(folder, 'data.db')}`
  const quiet = { DATABASE_URL, LOG_LEVEL: 'silent' }
  const app = await buildApp(quiet)
  await app.close()
  const ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64url')
  await t.rejects(buildApp({ ...quiet, ENCRYPTION_KEY }), SettingsError)
  const again = await buildApp(quiet)
  t.equal((await again.keys.list()).length > 0, true, 'the right one still opens it')
  await again.close()

  mkdirSync(join(folder, 'x'))
  writeFileSync(join(folder, 'x/key'), 'no key')
  const ENCRYPTION_KEY_FILE = join(folder, 'x/key')
  await t.rejects(buildApp({ ...quiet, ENCRYPTION_KEY_FILE }), SettingsError)
})
