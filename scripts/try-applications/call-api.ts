import { createHash, randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Given } from '../presets/preset.ts'

/** Calls the API at `url` with a valid token for it, and with tokens that it must refuse. */
export async function callApi(app: FastifyInstance, given: Given): Promise<string> {
  const own = await app.registration.createResource({ uri: given.url, scopes: ['use'] })
  const uri = 'https://another.example/api'
  const other = await app.registration.createResource({ uri, scopes: ['use'] })
  const { agent, agent_secret } = await app.registration.createAgent({ email: 'ada@example.com' })
  const as = { agent_id: agent.agent_id, agent_secret }

  const tokens = await signIn(given, as, { scope: 'use', resource: own.resource.uri })
  const forIssuer = await signIn(given, as, { scope: 'openid email' })
  const forOther = await signIn(given, as, { scope: 'use', resource: other.resource.uri })
  const calls: [name: string, token: string | undefined, status: number][] = [
    ['its token', tokens.access_token, 200],
    ['no token', undefined, 401],
    ['a token of the issuer', forIssuer.access_token, 401],
    ['an ID Token', forIssuer.id_token, 401],
    ['a token of another API', forOther.access_token, 401],
  ]
  for (const [name, token, status] of calls) {
    const headers = { ...(token !== undefined && { authorization: `Bearer ${token}` }) }
    const answer = await fetch(given.url, { headers })
    const body = await answer.text()
    if (answer.status !== status) throw new Error(`${name} is answered ${answer.status}: ${body}`)
    if (status === 200 && !body.includes(agent.agent_id)) throw new Error(`No agent in ${body}`)
  }
  return 'takes its tokens and no others'
}

async function signIn(
  { issuer, client_id, client_secret, url }: Given,
  as: { agent_id: string; agent_secret: string },
  target: { scope: string; resource?: string },
): Promise<{ access_token: string; id_token?: string }> {
  const code_verifier = randomBytes(32).toString('base64url')
  const code_challenge = createHash('sha256').update(code_verifier).digest('base64url')
  const redirect_uri = `${url}/callback`
  const pkce = { code_challenge, code_challenge_method: 'S256' }
  const query = { response_type: 'code', client_id, redirect_uri, ...pkce, ...target }
  const headers = { accept: 'application/json' }
  const opened = await fetch(`${issuer}/authorize?${new URLSearchParams(query)}`, { headers })
  const { request_id } = JSON.parse(await opened.text())
  const answered = await fetch(`${issuer}/api/agent/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request_id, ...as, model: 'claude-x', deliver: 'agent' }),
  })
  const { redirect_to } = JSON.parse(await answered.text())
  const code = new URL(redirect_to).searchParams.get('code') ?? ''
  const form = { grant_type: 'authorization_code', code, code_verifier, redirect_uri }
  const body = new URLSearchParams({ ...form, client_id, client_secret })
  const redeemed = await fetch(`${issuer}/token`, { method: 'POST', body })
  return JSON.parse(await redeemed.text())
}
