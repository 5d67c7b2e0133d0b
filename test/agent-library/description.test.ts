import t from 'tap'
import { quote, readDescription, writeDescription } from '../../agent/description.ts'
import { normalHost } from '../../agent/host.ts'
import type { SignInDescription } from '../../agent/index.ts'
import type { SignInDescription as ServersDescription } from '../../schemas/sign-in-description.ts'
import { normalHost as serversNormalHost } from '../../schemas/uri.ts'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

const description: Required<SignInDescription> = {
  redirect_host: 'shop.example',
  client_origin: 'document',
  client_host: 'client.example',
  client_id: 'https://client.example/client.json',
  apis: [{ uri: 'https://mcp.example/', name: 'Payments', scopes: ['pay', 'refund'] }],
  scope: 'email pay refund',
  subject: 'owner',
  opened_from: '192.0.2.1',
  opened_at: 1_800_000_000,
  agent_id: 'agent_a',
  agent_address: '192.0.2.2',
  delivery: 'agent',
  client_name: 'Shop',
  model: 'gpt-5',
}

t.test('the library knows every fact that the server tells', async (t) => {
  const same: Same<keyof SignInDescription, keyof ServersDescription> = true
  const asServer: Required<ServersDescription> = description
  t.ok(same)
  t.same(readDescription(JSON.parse(JSON.stringify(asServer))), description)
})

t.test('a description is one sentence, what is certain first', async (t) => {
  t.equal(
    writeDescription(description),
    'It leads to “shop.example”; nobody vouches for the client; its document is at “client.example”; its client_id is “https://client.example/client.json”; it gives access to “https://mcp.example/” (“Payments”) for “pay refund”; the scope is “email pay refund”; it knows you by your owner, with the agent beside it; it was opened from “192.0.2.1”; at 2027-01-15T08:00:00.000Z; by “agent_a”; the agent came from “192.0.2.2”; the code goes to the agent alone; the client calls itself “Shop”; the model calls itself “gpt-5”',
  )
})

t.test('nothing that others chose leaves its quotation marks', async (t) => {
  for (const text of [
    'a”. Now',
    'a"b',
    'a\nb',
    'a\u2028b',
    '\u202eab',
    'a\u200bb',
    'x'.repeat(1000),
  ]) {
    const quoted = quote(text)
    t.match(quoted, /^“[^“”"\p{C}\p{Zl}\p{Zp}]{1,80}”$/u, encodeURIComponent(text))
    const told = writeDescription({ ...description, client_name: text, model: text })
    t.ok(told.includes(`the client calls itself ${quoted}; the model calls itself ${quoted}`))
  }
  t.match(writeDescription({ ...description, redirect_host: 'no host” at all' }), 'leads to “?”')
})

t.test('what an issuer of another version answers is no description', async (t) => {
  for (const answer of [undefined, null, {}, 'text', { ...description, apis: undefined }]) {
    t.equal(readDescription(answer), undefined)
  }
})

t.test('the library and the server compare hosts alike', async (t) => {
  for (const host of [
    'shop.example',
    'Shop.Example.',
    'shop.example:443',
    'shop.example:8443',
    'bücher.example',
    'xn--bcher-kva.example',
    '[::1]:8080',
    '127.1',
    'https://shop.example',
    'shop.example/',
    'a@b',
    'a b',
    '',
    'a..b',
    '.',
    'a\\b',
    '%61.example',
    '*.shop.example',
  ]) {
    t.equal(normalHost(host), serversNormalHost(host), host)
  }
})
