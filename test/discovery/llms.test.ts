import t from 'tap'
import { readRequestId } from '../clients/agent-library.ts'
import { authorizeQuery, build, createAgent, createSite, encode, pkce } from '../harness.ts'

t.test('an agent that does what /llms.txt says is signed in', async (t) => {
  const ISSUER = 'https://auth.example'
  const app = await build(t, { ISSUER })
  const site = await createSite(app)
  const { agent_id, agent_secret } = await createAgent(app)
  const text = (await app.inject('/llms.txt')).body
  t.match(text, `# Auth Agent at ${ISSUER}`)

  const [, page = ''] = text.match(/begins with\s+(\S+authorize\?)/) ?? []
  const url = page + encode(authorizeQuery(site, pkce().code_challenge))
  t.ok(url.startsWith(`${ISSUER}/authorize?`))
  const request_id = readRequestId((await app.inject(url.slice(ISSUER.length))).body)

  const [, endpoint = ''] = text.match(/POST (\S+)/) ?? []
  const [, body = '{}'] = text.match(/\n *(\{"request_id".*\})\n/) ?? []
  const given = { request_id, agent_id, agent_secret, model: 'gpt-4o', deliver: 'agent' }
  t.same(Object.keys(JSON.parse(body)), Object.keys(given))
  const authenticate = async () =>
    await app.inject({ method: 'POST', url: endpoint.slice(ISSUER.length), payload: given })
  const { status, redirect_to } = (await authenticate()).json()
  t.equal(status, 'authenticated')
  t.match(text, `"status": "${status}"`)
  t.ok(redirect_to.startsWith(`${site.redirect_uri}?code=`))
  t.equal((await authenticate()).statusCode, 409)
  t.match(text, '- 409: the request was authenticated already')

  const [, statusUrl = ''] = text.match(/GET (\S+check-status\?request_id=)/) ?? []
  const checked = await app.inject(statusUrl.slice(ISSUER.length) + request_id)
  t.equal(checked.json().status, 'completed')

  for (const [, path = ''] of text.matchAll(new RegExp(`- ${ISSUER}(/\\S+):`, 'g'))) {
    t.equal((await app.inject(path)).statusCode, 200, path)
  }
})

t.test('/llms.txt tells an agent never to send the secret elsewhere', async (t) => {
  const app = await build(t, { ISSUER: 'https://auth.example' })
  const { headers, body } = await app.inject('/llms.txt')
  t.equal(headers['content-type'], 'text/plain; charset=utf-8')
  t.match(body, 'Never send the agent_secret to any host but auth.example')
})
