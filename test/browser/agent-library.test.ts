import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { cdpPage, createAgent, generateKey, readKey } from '../../agent/index.ts'
import { createSite, pkce, statusOf } from '../harness.ts'
import { makeFolder } from '../processes.ts'
import { lookalike, signInTheOldWay, startAttacker } from './attacker.ts'
import {
  authorizeUrl,
  closeBrowser,
  observe,
  openWindow,
  readRequestId,
  type Scene,
  setScene,
  skip,
} from './chromium.ts'

const BUTTON = 'Sign in with Auth Agent'
const GREETING = 'Hello, owner@example.com'

/** The scene's agent with a key of its own, and the library that has it. */
async function equip(t: Test, { app, website, agent }: Scene) {
  const file = join(makeFolder(t), 'agent.key')
  const { kid = '' } = await app.agentKeys.add(agent.agent_id, await generateKey(file))
  const private_jwk = await readKey(file)
  const credentials = { agent_id: agent.agent_id, private_jwk }
  return {
    kid,
    private_jwk,
    library: createAgent({ issuer: app.settings.ISSUER, credentials, model: 'test-model' }),
    site: { redirect_host: new URL(website.url).host },
  }
}

/** The waiting page, as it comes when the website's button is pressed. */
async function pressButton(page: Page, { website }: Scene): Promise<void> {
  await page.goto(website.url)
  await page.getByRole('link', { name: BUTTON }).click()
  await page.getByText('Waiting for your agent').waitFor()
}

t.test('The library of agents in a browser', { skip }, async (t) => {
  const scene = await setScene(t)
  const { app, website, agent } = scene
  const { library, site, private_jwk } = await equip(t, scene)
  const issuer = app.settings.ISSUER

  t.test('signs in on the page of a website, which sees no secret', async (t) => {
    const page = await openWindow(t)
    const seen = observe(page)
    const sent: string[] = []
    page.context().on('request', (request) => {
      sent.push(JSON.stringify([request.url(), request.headers(), request.postData()]))
    })
    await pressButton(page, scene)
    const { redirect_host } = await library.signIn(page, { site })
    t.equal(redirect_host, site.redirect_host)
    await page.getByRole('heading', { name: GREETING }).waitFor()
    t.match(await page.content(), /test-model/)
    t.same(seen.complaints, [])

    const everything = sent.join()
    t.match(everything, /code=ac_/, 'the callback is all that the browser gets')
    t.equal(sent.filter((each) => each.includes('ac_')).length, 1)
    for (const secret of [agent.agent_secret, private_jwk.d ?? 'no key', 'agent_assertion']) {
      t.notOk(everything.includes(secret))
    }
    t.notOk(everything.includes('/api/agent/'))
  })

  t.test('signs in on a page that it has by a DevTools session alone', async (t) => {
    const page = await openWindow(t)
    await pressButton(page, scene)
    const session = await page.context().newCDPSession(page)
    await library.signIn(cdpPage(session), { site })
    await page.getByRole('heading', { name: GREETING }).waitFor()
  })

  t.test('posts the form of response_mode=form_post from a page of no origin', async (t) => {
    const posted: string[] = []
    const server = createServer(async (request, response) => {
      posted.push(`${request.method} ${request.headers.origin} ${await text(request)}`)
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Posted</h1>')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const shop = await createSite(app, { redirect_uris: [`http://${host}/callback`] })
    const page = await openWindow(t)
    await page.goto(authorizeUrl(app, shop, pkce().code_challenge, { response_mode: 'form_post' }))
    await library.signIn(page, { site: { client_id: shop.client_id, redirect_host: host } })
    await page.getByRole('heading', { name: 'Posted' }).waitFor()
    t.match(posted, [/^POST null code=ac_.*state=the\+state/])
  })

  t.test('an agent that works the old way signs in unchanged', async (t) => {
    const page = await openWindow(t)
    await pressButton(page, scene)
    await signInTheOldWay(page, agent)
    await page.getByRole('heading', { name: GREETING }).waitFor()
  })

  t.test('a page that looks like the waiting page gets nothing', async (t) => {
    const attacker = await startAttacker(t)
    const page = await openWindow(t)
    attacker.show(
      lookalike('req_of_the_attacker', {
        ...site,
        issuer,
        client_id: 'client_a',
        authenticate_endpoint: `${attacker.origin}/api/agent/authenticate`,
      }),
    )
    await page.goto(`${attacker.origin}/authorize?client_id=client_a`)
    await t.rejects(library.signIn(page, { site }), { code: 'wrong_origin' })
    const session = cdpPage(await page.context().newCDPSession(page))
    await t.rejects(library.signIn(session, { site }), { code: 'wrong_origin' })
    await t.rejects(library.openSignIn(page.url(), { site }), { code: 'wrong_origin' })
    t.same(attacker.captured, [])

    await signInTheOldWay(page, agent)
    t.equal(attacker.captured.length, 1)
    t.match(attacker.captured.join(), agent.agent_secret, 'the old way gives the secret away')
  })

  t.test('a page that frames or rewrites the waiting page gets nothing', async (t) => {
    const attacker = await startAttacker(t)
    const page = await openWindow(t)
    await pressButton(page, scene)
    const url = page.url()
    const request_id = await readRequestId(page)
    attacker.show(
      `${lookalike(request_id, { ...site, client_id: 'client_a' })}<iframe src="${url}"></iframe>
<script>history.replaceState(null, '', '/authorize?x=${issuer}/authorize')</script>`,
    )
    await page.goto(attacker.origin)
    t.equal(await readRequestId(page), request_id)
    await t.rejects(library.signIn(page, { site }), { code: 'wrong_origin' })
    t.same(attacker.captured, [])
    t.equal(await statusOf(app, request_id), 'pending')
  })

  t.test('a page that leaves for another origin while it is read gets nothing', async (t) => {
    const attacker = await startAttacker(t)
    const page = await openWindow(t)
    await pressButton(page, scene)
    const request_id = await readRequestId(page)
    attacker.show(lookalike(request_id, { ...site, client_id: 'client_a' }))
    const leaving = {
      url: () => page.url(),
      goto: async () => t.fail('the page was navigated'),
      async evaluate(expression: string) {
        await page.goto(attacker.origin)
        return await page.evaluate(expression)
      },
    }
    await t.rejects(library.signIn(leaving, { site }), { code: 'wrong_origin' })
    t.same(attacker.captured, [])
    t.equal(await statusOf(app, request_id), 'pending')
  })

  t.test('a website other than the one that was meant is not signed in to', async (t) => {
    const page = await openWindow(t)
    await pressButton(page, scene)
    const refused = library.signIn(page, { site: { redirect_host: 'shop.example' } })
    await t.rejects(refused, { code: 'wrong_site' })
    t.ok(await page.getByText('Waiting for your agent').isVisible())
    t.equal(await statusOf(app, await readRequestId(page)), 'pending')
  })

  t.test('a stranger who has his own sign-in authenticated is never signed in', async (t) => {
    const stranger = await openWindow(t)
    await pressButton(stranger, scene)
    const request_id = await readRequestId(stranger)
    const attacker = await startAttacker(t)
    attacker.show(lookalike(request_id, { ...site, client_id: 'client_a' }))
    const victim = await openWindow(t)
    const signedIn = async (page: Page) => {
      const look = await page.context().newPage()
      await look.goto(website.url)
      return await look.getByRole('heading', { name: GREETING }).isVisible()
    }

    await victim.goto(attacker.origin)
    await t.rejects(library.signIn(victim, { site }), { code: 'wrong_origin' })
    t.equal(await statusOf(app, request_id), 'pending', 'his page does not get it authenticated')

    await victim.goto(stranger.url())
    await library.signIn(victim, { site })
    await victim.getByText('This sign-in did not begin in this browser').waitFor()
    t.equal(await statusOf(app, request_id), 'pending', 'nor his own link, opened by the agent')
    t.equal(await signedIn(stranger), false)
    t.equal(await signedIn(victim), false)

    const shown = await stranger.evaluate('window.authRequest')
    const went: string[] = []
    const talkedInto = {
      url: () => stranger.url(),
      evaluate: async () => shown,
      goto: async (url: string) => went.push(url),
    }
    await library.signIn(talkedInto, { site })
    t.match(went, [/code=ac_/], 'even when the request is his, the code comes to the agent')
    await stranger.getByText('This sign-in is done').first().waitFor()
    t.equal(await signedIn(stranger), false)
  })

  t.test('the old way signs a stranger in whose request the agent authenticates', async (t) => {
    const stranger = await openWindow(t)
    await pressButton(stranger, scene)
    const attacker = await startAttacker(t)
    attacker.show(lookalike(await readRequestId(stranger)))
    const victim = await openWindow(t)
    await victim.goto(attacker.origin)
    await signInTheOldWay(victim, agent, issuer)
    await stranger.getByRole('heading', { name: GREETING }).waitFor()
  })
}).then(closeBrowser)
