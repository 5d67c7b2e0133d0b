import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import Database from 'better-sqlite3'
import { compactDecrypt, decodeProtectedHeader } from 'jose'
import t, { type Test } from 'tap'
import { build, createAgent, createSite, signIn } from '../../harness.ts'

const ENCRYPTION_KEY = 'c'.repeat(64)
const cipherKey = new Uint8Array(
  hkdfSync('sha256', Buffer.from(ENCRYPTION_KEY, 'hex'), '', 'auth-agent private keys at rest', 32),
)

/** A server on a file that has signed tokens, and the file. */
async function makeServer(t: Test) {
  const file = `${t.testdir()}/auth-agent.db`
  const settings = { DATABASE_URL: `sqlite:${file}`, ENCRYPTION_KEY }
  const app = await build(t, settings)
  const tokens = await signIn(app, await createSite(app), await createAgent(app), {
    scope: 'openid',
  })
  return { app, settings, tokens, rows: () => readRows(file), replace: replaceIn(file) }
}

function readRows(file: string): { kid: string; alg: string; private_jwk_encrypted: string }[] {
  const database = new Database(file, { readonly: true })
  try {
    return database
      .prepare<[], ReturnType<typeof readRows>[number]>('SELECT * FROM signing_keys')
      .all()
  } finally {
    database.close()
  }
}

function replaceIn(file: string) {
  return (kid: string, encrypted: string) => {
    const database = new Database(file)
    database
      .prepare('UPDATE signing_keys SET private_jwk_encrypted = ? WHERE kid = ?')
      .run(encrypted, kid)
    database.close()
  }
}

/** As it was stored before it was a JWE. */
function encryptWithoutHeader(text: Uint8Array, kid: string): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce)
  cipher.setAAD(Buffer.from(kid))
  const encrypted = Buffer.concat([cipher.update(text), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), encrypted]).toString('base64url')
}

t.test('RFC 7516: a private key is stored as a JWE', async (t) => {
  const { rows } = await makeServer(t)
  t.equal(rows().length, 2)
  for (const { kid, private_jwk_encrypted } of rows()) {
    const { alg, enc } = decodeProtectedHeader(private_jwk_encrypted)
    t.same({ alg, enc }, { alg: 'dir', enc: 'A256GCM' })
    const { plaintext } = await compactDecrypt(private_jwk_encrypted, cipherKey)
    t.ok('d' in JSON.parse(Buffer.from(plaintext).toString()), kid)
  }
})

t.test('a database in the form before JWE is read, and its next key is a JWE', async (t) => {
  const { app, settings, tokens, rows, replace } = await makeServer(t)
  await app.close()
  for (const { kid, private_jwk_encrypted } of rows()) {
    const { plaintext } = await compactDecrypt(private_jwk_encrypted, cipherKey)
    replace(kid, encryptWithoutHeader(plaintext, kid))
  }
  const before = rows()
  const again = await build(t, settings)
  const userinfo = (token: string) =>
    again.inject({ url: '/userinfo', headers: { authorization: `Bearer ${token}` } })
  t.equal((await userinfo(tokens.access_token)).statusCode, 200, 'old tokens are good')
  const site = await createSite(again)
  const agent = await createAgent(again)
  const { access_token } = await signIn(again, site, agent, { scope: 'openid' })
  t.ok(before.some(({ kid }) => kid === decodeProtectedHeader(access_token).kid))
  t.equal((await userinfo(access_token)).statusCode, 200, 'and so are those that it signs')
  const { kid } = await again.keys.rotate(true)
  const row = rows().find((each) => each.kid === kid)
  t.equal(decodeProtectedHeader(row?.private_jwk_encrypted ?? '').enc, 'A256GCM')
})

t.test('a stored key that was changed, or that is another row’s, is refused', async (t) => {
  const { app, settings, rows, replace } = await makeServer(t)
  await app.keys.rotate(true)
  await app.close()
  const stored = rows().filter(({ alg }) => alg === 'ES256')
  const [first = '', second = ''] = stored.map((row) => row.private_jwk_encrypted)
  const texts = {
    'another row’s, as a JWE': { [stored[0]?.kid ?? '']: second, [stored[1]?.kid ?? '']: first },
    changed: Object.fromEntries(
      stored.map(({ kid }, index) => [kid, change([first, second][index])]),
    ),
    'of no form': Object.fromEntries(stored.map(({ kid }) => [kid, 'x'])),
    empty: Object.fromEntries(stored.map(({ kid }) => [kid, ''])),
  }
  for (const [name, changes] of Object.entries(texts)) {
    for (const [kid, text] of Object.entries(changes)) replace(kid, text)
    const started = build(t, settings).then((app) => app.keys.loadSigner())
    await t.rejects(started, { message: /ENCRYPTION_KEY: is not the key/ }, name)
  }
  for (const { kid, private_jwk_encrypted } of stored) replace(kid, private_jwk_encrypted)
  t.equal(typeof (await (await build(t, settings)).keys.loadSigner()), 'function')
})

function change(jwe = ''): string {
  const [header, key, nonce, text = '', tag] = jwe.split('.')
  const other = text.startsWith('A') ? 'B' : 'A'
  return [header, key, nonce, other + text.slice(1), tag].join('.')
}
