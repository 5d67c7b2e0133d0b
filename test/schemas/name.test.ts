import t, { type Test } from 'tap'
import { authenticate, build, createAgent, createSite, open, startWeb } from '../harness.ts'

const BAD: [why: string, name: string][] = [
  ['nothing but spaces', ' \u00a0\u3000'],
  ['a line feed', 'Shop\n'],
  ['a tabulator', 'Sh\top'],
  ['an escape sequence', '\u001b[2JShop'],
  ['a C1 control', 'Sh\u0085op'],
  ['a zero-width space alone', '\u200b'],
  ['a zero-width space', 'Sh\u200bop'],
  ['a soft hyphen', 'Sh\u00adop'],
  ['a byte order mark', '\ufeffShop'],
  ['a right-to-left override', '\u202epohS'],
  ['an isolate', '\u2066Shop\u2069'],
  ['a line separator', 'Sh\u2028op'],
  ['a paragraph separator', 'Sh\u2029op'],
  ['a filler that is a letter', '\u3164'],
  ['an empty Braille pattern', '\u2800'],
  ['a tag character', 'Shop\u{e0041}'],
  ['a character for private use', '\ue000'],
  ['half a character', 'Shop\ud800'],
  ['no character', '\uffff'],
  ['a mark that joins what is before', '\u0301Shop'],
  ['a URL', 'Go to https://evil.example'],
  ['a URL in wide letters', 'https：／／evil.example'],
  ['81 characters', 'x'.repeat(81)],
  ['81 characters outside the BMP', '\u{1f600}'.repeat(81)],
]

const GOOD: [name: string, normal: string][] = [
  ['claude-sonnet-4-5', 'claude-sonnet-4-5'],
  ['gpt-5 (2026-01)', 'gpt-5 (2026-01)'],
  ['anthropic/claude-sonnet-4.5:beta', 'anthropic/claude-sonnet-4.5:beta'],
  ['日本語モデル', '日本語モデル'],
  ['Cafe\u0301', 'Café'],
  ['  Paper \u00a0 & Pine ', 'Paper & Pine'],
  ['❤\ufe0f Shop', '❤\ufe0f Shop'],
  ['x'.repeat(80), 'x'.repeat(80)],
  ['\u{1f600}'.repeat(80), '\u{1f600}'.repeat(80)],
  ['A <b>site</b>', 'A <b>site</b>'],
]

/** Every way for a name into the server: gives it as it is known then, or the error. */
async function createWays(t: Test) {
  const web = await startWeb(t)
  const settings = { DYNAMIC_REGISTRATION: 'open' } as const
  const app = await build(t, settings, { network: web.network })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const own = await app.registration.createAgent({ email: 'a@b.example', name: 'Max' })
  const api = await app.registration.createResource({ uri: 'https://api.example', scopes: [] })
  const redirect_uris = ['https://shop.example/callback']
  const registered = await app.inject({
    method: 'POST',
    url: '/register',
    payload: { redirect_uris },
  })
  const registration = registered.json()
  const bearer = { authorization: `Bearer ${registration.registration_access_token}` }
  let made = 0
  const known = new Set<string | undefined>()
  const ways: Record<string, (name: string) => Promise<unknown>> = {
    'a client of the operator': async (client_name) =>
      (await app.registration.createClient({ client_name, redirect_uris })).client.client_name,
    'a client that is renamed': async (client_name) =>
      (await app.registration.updateClient(site.client_id, { client_name })).client_name,
    'an agent': async (name) =>
      (await app.registration.createAgent({ email: 'a@b.example', name })).agent.name,
    'an agent that is renamed': async (name) =>
      (await app.registration.updateAgent(own.agent.agent_id, { name })).name,
    'an API': async (name) => {
      const uri = `https://api${made++}.example`
      return (await app.registration.createResource({ uri, scopes: [], name })).resource.name
    },
    'an API that is renamed': async (name) =>
      (await app.registration.updateResource(api.resource.resource_id, { name })).name,
    'a registration token': async (name) => {
      const { token_id } = await app.registration.createInitialAccessToken(name)
      const tokens = await app.store.initialAccessTokens.list()
      return tokens.find((token) => token.token_id === token_id)?.name
    },
    'a client that registers itself': async (client_name) => {
      const payload = { client_name, redirect_uris }
      const answer = await app.inject({ method: 'POST', url: '/register', payload })
      return answer.json().client_name ?? answer.json()
    },
    'a client that renames itself': async (client_name) => {
      const { client_id } = registration
      const payload = { client_id, client_name, redirect_uris }
      const request = { method: 'PUT', url: `/register/${client_id}`, headers: bearer } as const
      const answer = await app.inject({ ...request, payload })
      return answer.json().client_name ?? answer.json()
    },
    'a metadata document': async (client_name) => {
      const path = `/${made++}.json`
      const client_id = web.url('client.example', path)
      web.serveJson(path, { client_id, client_name, redirect_uris })
      const query = new URLSearchParams({
        client_id,
        response_type: 'code',
        code_challenge: 'a'.repeat(43),
        code_challenge_method: 'S256',
      })
      const headers = { accept: 'application/json' }
      const answer = await app.inject({ url: `/authorize?${query}`, headers })
      return answer.json().client_name ?? answer.json()
    },
    'a model': async (model) => {
      const { request_id } = await open(app, {
        ...site,
        redirect_uri: 'https://site.example/callback',
      })
      const answer = await authenticate(app, request_id, agent, { model })
      if (answer.statusCode !== 200) return answer.json()
      const grants = await app.store.grants.list({ agent_id: agent.agent_id })
      const grant = grants.find(({ grant_id }) => !known.has(grant_id))
      known.add(grant?.grant_id)
      return grant?.model
    },
    'a model with a code': async (model) => {
      const { request_id } = await open(app, {
        ...site,
        redirect_uri: 'https://site.example/callback',
      })
      const payload = { request_id, code: '123456', model }
      const answer = await app.inject({ method: 'POST', url: '/api/agent/verify-2fa', payload })
      return answer.json().error_description === 'No approval was asked for this request'
        ? model
            .normalize('NFC')
            .replace(/[ \u00a0]+/g, ' ')
            .trim()
        : answer.json()
    },
  }
  return Object.entries(ways)
}

t.test('a name of others is a name, or refused without a word of it', async (t) => {
  const ways = await createWays(t)
  for (const [way, give] of ways) {
    for (const [why, name] of BAD) {
      const answer = await give(name).catch((error) => ({
        error: error.code,
        error_description: error.message,
      }))
      t.match(
        answer,
        { error: /^invalid_/, error_description: /must be a name of 1 to 80 visible characters/ },
        `${way}: ${why}`,
      )
      t.notMatch(JSON.stringify(answer), /Shop|evil|xxx/, `${way}: ${why}`)
    }
  }
})

t.test('a name is kept with composed characters and single spaces', async (t) => {
  const ways = await createWays(t)
  for (const [way, give] of ways) {
    for (const [name, normal] of GOOD) t.equal(await give(name), normal, `${way}: ${name}`)
  }
})

t.test('a client whose name is older than the rule can be changed otherwise', async (t) => {
  const app = await build(t)
  const { client_id } = await createSite(app)
  await app.store.clients.update(client_id, { client_name: '\u202e'.repeat(200) }, 0)
  const disabled = await app.registration.updateClient(client_id, { disabled_at: 1 })
  t.equal(disabled.disabled_at, 1)
  await app.registration.updateClient(client_id, { client_name: 'Shop' })
  t.equal((await app.store.clients.find(client_id))?.client_name, 'Shop')
})
