import { join } from 'node:path'
import { Client, type ClientOptions } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import t, { type Test } from 'tap'
import { generateKey } from '../../agent/index.ts'
import { statusOf } from '../harness.ts'
import { createMailbox } from '../mailbox.ts'
import { makeFolder } from '../processes.ts'
import { lookalike, startAttacker } from './attacker.ts'
import {
  closeBrowser,
  openAgentBrowser,
  openWindow,
  readRequestId,
  setScene,
  skip,
} from './chromium.ts'

const BUTTON = 'Sign in with Auth Agent'
const GREETING = 'Hello, owner@example.com'

interface Tool {
  client: Client
  /** Calls `sign_in` as a language model does, and gives all that the model is told. */
  signIn(input: Record<string, unknown>): Promise<{ told: string; isError: boolean }>
  /** All that the process wrote beside its answers. */
  written(): string
}

/** `auth-agent-mcp` in a process of its own, and the official client that speaks to it. */
async function startTool(
  t: Test,
  environment: Record<string, string>,
  options: ClientOptions = {},
): Promise<Tool> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(import.meta.dirname, '../../agent/auth-agent-mcp.js')],
    env: { PATH: process.env.PATH ?? '', ...environment },
    stderr: 'pipe',
  })
  let written = ''
  transport.stderr?.on('data', (chunk) => {
    written += chunk
  })
  const client = new Client({ name: 'test', version: '1.0.0' }, options)
  await client.connect(transport)
  t.teardown(() => client.close())
  return {
    client,
    async signIn(input) {
      const answer = await client.callTool({ name: 'sign_in', arguments: input })
      return { told: JSON.stringify(answer), isError: answer.isError === true }
    },
    written: () => written,
  }
}

t.test('The tool for language models', { skip }, async (t) => {
  const { app, website, agent } = await setScene(t)
  const issuer = app.settings.ISSUER
  const site = new URL(website.url).host
  const key_file = join(makeFolder(t), 'agent.key')
  await app.agentKeys.add(agent.agent_id, await generateKey(key_file))
  const { page, cdp_url } = await openAgentBrowser(t)
  const environment = {
    AUTH_AGENT_ISSUER: issuer,
    AUTH_AGENT_ID: agent.agent_id,
    AUTH_AGENT_KEY_FILE: key_file,
    AUTH_AGENT_MODEL: 'test-model',
  }
  const tool = await startTool(t, { ...environment, AUTH_AGENT_CDP_URL: cdp_url })
  const pressButton = async ({ url } = website) => {
    await page.context().clearCookies()
    await page.goto(url)
    await page.getByRole('link', { name: BUTTON }).click()
    await page.getByText('Waiting for your agent').waitFor()
    return await readRequestId(page)
  }

  t.test('tells what it does and what it refuses, and asks for no secret', async (t) => {
    const { tools } = await tool.client.listTools()
    t.same(
      tools.map(({ name }) => name),
      ['sign_in'],
    )
    const [{ description, inputSchema } = {}] = tools
    t.match(description, /refuses/)
    t.same(inputSchema?.required, ['site'])
    t.same(Object.keys(inputSchema?.properties ?? {}).sort(), [
      'approval_code',
      'model',
      'request_id',
      'site',
      'url',
    ])
  })

  t.test('signs in on the page of the browser that the agent drives', async (t) => {
    for (const which of [
      async () => ({}),
      async () => ({ url: page.url() }),
      async () => ({ request_id: await readRequestId(page) }),
      async () => ({ site: `http://${site}/login`, url: null, request_id: '', model: null }),
      // Where no approval is asked, digits that a model made up are ignored.
      async () => ({ approval_code: '123456' }),
      async () => ({ approval_code: 123456 }),
    ]) {
      await pressButton()
      const { told, isError } = await tool.signIn({ site, ...(await which()) })
      t.equal(isError, false, told)
      t.match(told, `Signed in. The browser went on to “${site}”.`)
      t.notMatch(told, /ac_|ags_|code=|eyJ/, 'the model sees no code, secret or token')
      await page.getByRole('heading', { name: GREETING }).waitFor()
      t.match(await page.content(), /test-model/)
    }
  })

  t.test('refuses a sign-in for another site than the model named', async (t) => {
    const request_id = await pressButton()
    const { told, isError } = await tool.signIn({ site: 'shop.example' })
    t.equal(isError, true)
    t.match(told, /Not signed in \(wrong_site\)/)
    t.equal(await statusOf(app, request_id), 'pending')
    t.ok(await page.getByText('Waiting for your agent').isVisible())
  })

  t.test('refuses a page that looks like the waiting page', async (t) => {
    const attacker = await startAttacker(t)
    attacker.show(lookalike('req_of_the_attacker', { redirect_host: site, client_id: 'client_a' }))
    await page.goto(`${attacker.origin}/authorize?client_id=client_a`)
    const meant = await tool.signIn({ site, url: page.url() })
    t.match(meant, { isError: true, told: /wrong_origin/ })
    const unmeant = await tool.signIn({ site })
    t.match(unmeant, { isError: true, told: /no_request/ })
    t.same(attacker.captured, [])
  })

  t.test('refuses a request that waits in somebody else’s browser', async (t) => {
    const stranger = await openWindow(t)
    await stranger.goto(website.url)
    await stranger.getByRole('link', { name: BUTTON }).click()
    await stranger.getByText('Waiting for your agent').waitFor()
    const request_id = await readRequestId(stranger)
    const attacker = await startAttacker(t)
    attacker.show(lookalike(request_id, { redirect_host: site, client_id: 'client_a' }))
    await page.goto(attacker.origin)
    for (const [input, code] of [
      [{ request_id }, 'no_request'],
      [{ url: stranger.url() }, 'no_request'],
      [{ url: stranger.url(), request_id }, 'no_request'],
      [{ url: `${attacker.origin}/`, request_id }, 'wrong_origin'],
    ] as const) {
      t.match(await tool.signIn({ site, ...input }), { isError: true, told: code })
    }
    t.equal(await statusOf(app, request_id), 'pending')
    t.ok(await stranger.getByText('Waiting for your agent').isVisible())
  })

  t.test('asks for the digits of the owner’s approval when there is to be one', async (t) => {
    await app.policies.changeAgent(agent.agent_id, { sites: 'ask' })
    const request_id = await pressButton()
    const asked = await tool.signIn({ site })
    t.match(asked, { isError: false, told: /approval_required.*Call sign_in again/ })
    for (const approval_code of ['000000', 123456, '', ' ', null]) {
      const guessed = await tool.signIn({ site, approval_code })
      t.match(guessed, { isError: false, told: /Not signed in yet \(approval_required\)/ })
      t.match(guessed.told, /operator of the issuer answers/, 'no mail is claimed')
    }
    t.equal(await statusOf(app, request_id), 'pending')
    await app.policies.changeAgent(agent.agent_id, { sites: 'any' })
  })

  const modes = ['legacy', { pin: '2026-07-28' }] as const
  const past = 'asks the user past the model where the host can'
  for (const mode of modes)
    t.test(`${past} (${JSON.stringify(mode)})`, async (t) => {
      const { url, mails } = await createMailbox(t)
      const scene = await setScene(t, { SMTP_URL: url, MAIL_FROM: 'auth@auth.example' })
      const { agent_id, agent_secret } = scene.agent
      await scene.app.policies.changeAgent(agent_id, { sites: 'ask', remember_sites: false })
      const asking = await startTool(
        t,
        {
          AUTH_AGENT_ISSUER: scene.app.settings.ISSUER,
          AUTH_AGENT_ID: agent_id,
          AUTH_AGENT_SECRET: agent_secret,
          AUTH_AGENT_CDP_URL: cdp_url,
        },
        { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } },
      )
      const digits = () => mails.at(-1)?.match(/^ {2}(\d{6})\r$/m)?.[1] ?? ''
      const host = new URL(scene.website.url).host
      const answers = [
        [{ action: 'decline' }, false],
        [{ action: 'accept', content: { digits: 'no' } }, true],
      ] as const
      for (const [answer, isError] of answers) {
        await pressButton(scene.website)
        asking.client.setRequestHandler('elicitation/create', () => answer)
        const refused = await asking.signIn({ site: host, model: 'its-own-name' })
        t.match(refused, { isError, told: /Not signed in/ })
        t.equal(await statusOf(scene.app, await readRequestId(page)), 'pending')
      }
      await pressButton(scene.website)
      asking.client.setRequestHandler('elicitation/create', ({ params }) => {
        t.match(params.message, `It leads to “${host}”`)
        t.match(params.message, /the client calls itself “Paper & Pine”/)
        return { action: 'accept', content: { digits: digits() } }
      })
      const { told, isError } = await asking.signIn({ site: host, model: 'its-own-name' })
      t.equal(isError, false, told)
      t.notOk(told.includes(digits()))
      await page.getByRole('heading', { name: GREETING }).waitFor()
      t.match(await page.content(), /its-own-name/)
    })

  t.test('says that the browser could not go on, and no word of the code', async (t) => {
    await pressButton()
    await page.context().setOffline(true)
    await page.context().route(`${website.url}/**`, (route) => route.abort())
    await website.close()
    const { told, isError } = await tool.signIn({ site })
    await page.context().setOffline(false)
    t.equal(isError, true)
    t.match(told, /The sign-in was granted, but the browser did not reach .* \(navigation\)/)
    t.notMatch(told, /Not signed in/)
    t.notMatch(told, /ac_|code=/)
  })

  t.test('refuses input that is not as described', async (t) => {
    for (const input of [
      {},
      { site: 1 },
      { site, request_id: 'req_a b' },
      { site, approval_code: '12345' },
      { site, approval_code: 1_000_000 },
      { site, approval_code: true },
      { site, agent_secret: 'ags_a' },
      { site, issuer: 'https://evil.example' },
    ]) {
      const answer = await tool
        .signIn(input)
        .catch((error) => ({ isError: true, told: `${error}` }))
      t.equal(answer.isError, true, JSON.stringify(input))
      t.match(answer.told, /nvalid/)
    }
  })

  t.test('says plainly what it was not set up with', async (t) => {
    const { AUTH_AGENT_ISSUER, AUTH_AGENT_MODEL, ...rest } = environment
    const CDP = { AUTH_AGENT_CDP_URL: cdp_url }
    await page.goto('about:blank')
    for (const [without, given, told] of [
      ['a browser', environment, 'AUTH_AGENT_CDP_URL is not set'],
      ['an issuer', { ...CDP, AUTH_AGENT_MODEL, ...rest }, 'AUTH_AGENT_ISSUER is not set'],
      ['a model', { ...CDP, AUTH_AGENT_ISSUER, ...rest }, 'name the model that you are'],
      [
        'a browser that answers',
        { ...environment, AUTH_AGENT_CDP_URL: 'http://127.0.0.1:1' },
        'The browser at AUTH_AGENT_CDP_URL does not answer',
      ],
      [
        'an issuer that could be one',
        { ...environment, ...CDP, AUTH_AGENT_ISSUER: 'http://auth.example' },
        'must be an https URL',
      ],
    ] as const) {
      const bare = await startTool(t, given)
      t.match(await bare.signIn({ site }), { isError: true, told }, without)
    }
  })

  t.test('writes nothing secret beside its answers', async (t) => {
    t.notMatch(tool.written(), /ac_|ags_|code=|eyJ/)
  })
}).then(closeBrowser)
