import t, { type Test } from 'tap'
import type { BuildOptions } from '../../../plugins/app.ts'
import { build, createAgent, createSite, post, signIn, TestClock } from '../../harness.ts'

/** A sign-in whose access token was introspected, and so verified, already. */
async function verified(t: Test, options: BuildOptions = {}) {
  const app = await build(t, {}, options)
  const site = await createSite(app)
  const { access_token, refresh_token } = await signIn(app, site, await createAgent(app))
  const isActive = async (token = access_token): Promise<boolean> =>
    (await post(app, '/introspect', site, { token })).json().active
  t.equal(await isActive(), true)
  t.equal(await isActive(), true)
  return { app, site, access_token, refresh_token, isActive }
}

t.test('an access token that was verified before is refused when it has expired', async (t) => {
  const clock = new TestClock()
  const { isActive } = await verified(t, { clock })
  clock.advance(3599)
  t.equal(await isActive(), true)
  clock.advance(1)
  t.equal(await isActive(), false)
})

t.test('RFC 7009: one that was verified before is refused when it was revoked', async (t) => {
  const { app, site, access_token, isActive } = await verified(t)
  await post(app, '/revoke', site, { token: access_token })
  t.equal(await isActive(), false)
})

t.test('one that was verified before is refused when its grant was revoked', async (t) => {
  const { app, site, refresh_token, isActive } = await verified(t)
  await post(app, '/revoke', site, { token: refresh_token })
  t.equal(await isActive(), false)
})

t.test('one that was verified before is refused when its key has left the key set', async (t) => {
  const { app, isActive } = await verified(t)
  await app.keys.rotate(true)
  t.equal(await isActive(), true, 'the old key stays for its last token')
  while (await app.store.maintenance.sweep('signingKeys', app.clock.now() + 7200));
  app.keys.forget()
  t.equal(await isActive(), false)
})

t.test('verifying one token says nothing of another that differs in its signature', async (t) => {
  const { access_token, isActive } = await verified(t)
  const [header, payload, signature = ''] = access_token.split('.')
  const other = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  t.equal(await isActive(`${header}.${payload}.${other}`), false)
})
