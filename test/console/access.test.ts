import t from 'tap'
import { listRoutes } from '../account/forms.ts'
import { build, createAgent, createApi, createSite, signInOwner, TestClock } from '../harness.ts'
import { browserOf } from './console.ts'

const ofConsole = async (method: string) =>
  (await listRoutes(method)).filter((url) => url.startsWith('/console'))

t.test('nobody but operators opens the console, whichever page or form', async (t) => {
  const app = await build(t)
  const owner = browserOf(app, await signInOwner(app))
  const pages = await ofConsole('GET')
  const forms = await ofConsole('POST')
  t.ok(pages.length > 30)
  t.ok(forms.length > 20)
  const headers = {
    origin: new URL(app.settings.ISSUER).origin,
    'content-type': 'application/x-www-form-urlencoded',
  }
  for (const url of pages) {
    const path = url.replace(':id', 'some')
    t.equal((await owner.get(path)).statusCode, 403, url)
    const stranger = await app.inject(path)
    t.equal(stranger.statusCode, 303, url)
    t.match(stranger.headers.location, '/account/sign-in?', url)
  }
  for (const url of forms) {
    const path = url.replace(':id', 'some')
    t.equal((await owner.post(path)).statusCode, 403, url)
    const stranger = await app.inject({ method: 'POST', url: path, headers, payload: '' })
    t.match(stranger.headers.location, '/account/sign-in?', url)
  }
})

t.test('what an operator does needs a passkey that was used within five minutes', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const operator = await signInOwner(app, { operator: true })
  const { get, post } = browserOf(app, operator)
  const ids: Record<string, string> = {
    websites: (await createSite(app)).client_id,
    agents: (await createAgent(app)).agent_id,
    owners: operator.owner.owner_id,
    resources: (await createApi(app)).client_id,
    tokens: (await app.registration.createInitialAccessToken()).token_id,
  }
  clock.advance(301)
  const forms = await ofConsole('POST')
  for (const url of forms) {
    const path = url.replace(':id', ids[url.split('/')[2] ?? ''] ?? '')
    for (const answer of [await get(path), await post(path)]) {
      t.equal(answer.statusCode, 303, url)
      t.match(answer.headers.location, '/account/confirm?next=console', url)
    }
  }
  t.equal((await get('/console/websites')).statusCode, 200, 'reading needs none')
  t.match(await app.store.clients.find(ids.websites ?? ''), { disabled_at: null })
})

t.test('what there is not is answered 404', async (t) => {
  const app = await build(t)
  const { get, post } = browserOf(app, await signInOwner(app, { operator: true }))
  for (const [method, send] of [
    ['GET', get],
    ['POST', post],
  ] as const) {
    for (const url of (await ofConsole(method)).filter((each) => each.includes(':id'))) {
      for (const id of ['some', 'client_x', '%3Cb%3E', `${'x'.repeat(3000)}`]) {
        t.equal((await send(url.replace(':id', id))).statusCode, 404, `${method} ${url}`)
      }
    }
  }
})

t.test('each list says so where it is empty, and where a search finds nothing', async (t) => {
  const app = await build(t)
  const { get } = browserOf(app, await signInOwner(app, { operator: true }))
  for (const [path, text] of [
    ['/console/websites', 'No website is registered'],
    ['/console/websites?search=x', 'Nothing fits'],
    ['/console/agents', 'No agent is registered'],
    ['/console/agents?search=x', 'Nothing fits'],
    ['/console/owners?search=x', 'Nothing fits'],
    ['/console/resources', 'No API is registered'],
    ['/console/tokens', 'There is none'],
    ['/console/limits', 'No attempt has failed lately'],
    ['/console/history', 'Nothing is recorded that fits'],
    ['/console/history?client_id=x&from=2026-01-31', 'Nothing is recorded that fits'],
  ] as const) {
    const page = await get(path)
    t.equal(page.statusCode, 200, path)
    t.match(page.body, text, path)
  }
  for (const path of ['/console/history?from=tomorrow', '/console/history?event=x']) {
    t.equal((await get(path)).statusCode, 400, path)
  }
})
