import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import t from 'tap'

/** The tool without any settings, so that each call with valid arguments ends at the same sentence. */
const transport = new StdioClientTransport({
  command: process.execPath,
  args: [join(import.meta.dirname, '../../agent/auth-agent-mcp.js')],
  env: { PATH: process.env.PATH ?? '' },
})
const client = new Client({ name: 'test', version: '1.0.0' })
await client.connect(transport)
t.teardown(() => client.close())

async function call(input: Record<string, unknown>): Promise<string> {
  const answer = client.callTool({ name: 'sign_in', arguments: input })
  return JSON.stringify(await answer.catch((error) => `${error}`))
}

const ACCEPTED = /AUTH_AGENT_ISSUER is not set/
const site = 'shop.example'

t.test('the tool takes approval_code as models and adapters send it', async (t) => {
  for (const given of [null, '', ' ', '123456', '123 456', ' 123456\n', 123456, 0, 42]) {
    t.match(await call({ site, approval_code: given }), ACCEPTED, JSON.stringify(given))
  }
  for (const given of ['12345', '1234567', 'abcdef', 1_000_000, -1, 1.5, true, ['123456'], {}]) {
    t.match(await call({ site, approval_code: given }), /nvalid/, JSON.stringify(given))
  }
})

t.test('null and an empty string are as if left out, for every argument', async (t) => {
  const [tool] = (await client.listTools()).tools
  const names = Object.keys(tool?.inputSchema.properties ?? {})
  t.ok(names.length > 4)
  for (const empty of [null, '', '  ']) {
    for (const name of names) {
      t.match(await call({ site, [name]: empty }), ACCEPTED, `${name}: ${JSON.stringify(empty)}`)
    }
    // The strict mode of some frameworks makes a model send every argument.
    const all = Object.fromEntries(names.map((name) => [name, empty]))
    t.match(await call({ ...all, site }), ACCEPTED, `all: ${JSON.stringify(empty)}`)
  }
  t.match(await call({}), /nvalid/)
  t.match(await call({ site, agent_secret: null }), /nvalid/, 'no other argument is taken')
})
