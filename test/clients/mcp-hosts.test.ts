import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MCP_HOSTS } from '../../scripts/presets/mcp-hosts.ts'
import { registrationOf } from '../../scripts/presets/preset.ts'
import { authenticate, build, createAgent, open, post } from '../harness.ts'
import { fresh, json, run } from '../scripts/command.ts'

/** Where each host was seen to be sent back to. */
const seen: Record<string, string> = {
  'mcp-remote': 'http://localhost:3334/oauth/callback',
  inspector: 'http://127.0.0.1:6276/oauth/callback',
  codex: 'http://127.0.0.1:41825/callback',
  'claude-code': 'http://localhost:51234/callback',
  opencode: 'http://127.0.0.1:19876/mcp/oauth/callback',
  gemini: 'http://localhost:7777/oauth/callback',
}

t.test('RFC 8252 section 7.3: each MCP host signs in with what is registered for it', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  t.same(Object.keys(MCP_HOSTS), Object.keys(seen))
  for (const [name, host] of Object.entries(MCP_HOSTS)) {
    const { client } = await app.registration.createClient(registrationOf(host, ''))
    const site = { ...client, client_secret: undefined, redirect_uri: seen[name] ?? '' }
    const { request_id, code_verifier } = await open(app, site)
    const signedIn = await authenticate(app, request_id, agent, { deliver: 'agent' })
    const callback = new URL(signedIn.json().redirect_to)
    t.equal(callback.origin + callback.pathname, seen[name], name)
    const code = callback.searchParams.get('code') ?? ''
    const redemption = { grant_type: 'authorization_code', code, code_verifier }
    const redeemed = await post(app, '/token', site, { ...redemption, redirect_uri: seen[name] })
    const { refresh_token } = redeemed.json()
    const refresh = { grant_type: 'refresh_token', refresh_token }
    t.equal((await post(app, '/token', site, refresh)).statusCode, 200, `${name} refreshes`)
  }
})

t.test('the page shows each MCP host as the command knows it', (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../plugins/oauth/README.md'), 'utf8')
  const [, section = ''] = page.match(/^### Connect an MCP host\n(.*?)^## /ms) ?? []
  const rows = section.split('\n').filter((line) => /^\| `\w/.test(line))
  const given = {
    issuer: '',
    client_id: 'client_…',
    client_secret: '',
    url: 'https://mcp.example/mcp',
  }
  const known = Object.entries(MCP_HOSTS).map(
    ([name, { title, byDefault, redirect, files }]) =>
      `| \`${name}\` | ${title} | ${byDefault} | \`${redirect}\` | ${files
        .map(({ name, language, lines }) =>
          language === 'sh' ? `\`${lines(given)}\`` : `${name}: \`${lines(given)}\``,
        )
        .join(', ')} |`,
  )
  t.same(rows, known)
  t.end()
})

t.test('a known MCP host is registered by its name, and its line is printed', async (t) => {
  const environment = fresh(t)
  const server = 'https://mcp.example/mcp'
  const create = ['client', 'create', '--preset', 'claude-code']
  const created = await json(environment, ...create, '--url', server)
  t.match(created, {
    client_name: 'Claude Code',
    redirect_uris: ['http://localhost/callback'],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    application_type: 'native',
    client_secret: undefined,
    configuration: [
      {
        file: 'command line',
        lines: `claude mcp add --transport http --client-id ${created.client_id} my-server ${server}`,
      },
    ],
  })
  const { out } = await run(environment, ...create, '--name', 'Mine')
  t.match(out, /client_name +Mine\n[\s\S]*\nclaude mcp add .*client_\S+ .*URL_OF_THE_MCP_SERVER/)
  for (const args of [
    [...create, '--url', 'https://mcp.example/;reboot'],
    [...create, '--url', 'mcp.example'],
    [...create, '--redirect-uri', 'https://a.example/'],
    ['client', 'create', '--preset', 'none'],
  ]) {
    t.match(
      await run(environment, ...args),
      { code: 2, out: '', err: /--preset|--url/ },
      args.join(' '),
    )
  }
})
