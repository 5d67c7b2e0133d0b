import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import t from 'tap'

t.test('the tool takes approval_code as models and adapters send it', async (t) => {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(import.meta.dirname, '../../agent/mcp.ts')],
    env: { PATH: process.env.PATH ?? '' },
  })
  const client = new Client({ name: 'test', version: '1.0.0' })
  await client.connect(transport)
  t.teardown(() => client.close())
  const told = async (approval_code: unknown) => {
    const input = { site: 'shop.example', approval_code }
    const call = client.callTool({ name: 'sign_in', arguments: input })
    return JSON.stringify(await call.catch((error) => `${error}`))
  }
  for (const given of [null, '', ' ', '123456', '123 456', ' 123456\n', 123456, 0, 42]) {
    // It gets as far as what the tool was not set up with.
    t.match(await told(given), /AUTH_AGENT_ISSUER is not set/, JSON.stringify(given))
  }
  for (const given of ['12345', '1234567', 'abcdef', 1_000_000, -1, 1.5, true, ['123456'], {}]) {
    t.match(await told(given), /nvalid/, JSON.stringify(given))
  }
})
