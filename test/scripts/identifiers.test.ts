import t from 'tap'
import { assertSentence, fresh, json, run } from './command.ts'

const shop = ['client', 'create', '--name', 'Shop', '--redirect-uri', 'https://shop.example/a']

t.test('an identifier of another kind is refused before anything is changed', async (t) => {
  const environment = fresh(t)
  const { client_id } = await json(environment, ...shop)
  const { agent_id } = await json(environment, 'agent', 'create', '--email', 'o@example.com')
  const rows: [string[], RegExp][] = [
    [['agent', 'show', client_id], /"agent_", and this is a client id\. See "auth-agent client/],
    [['client', 'show', agent_id], /"client_", and this is an agent id\. See "auth-agent agent/],
    [['client', 'update', agent_id, '--name', 'x'], /an agent id/],
    [['client', 'delete', 'cs_x'], /a client secret\./],
    [['agent', 'policy', 'grant_x'], /a grant id/],
    [['agent', 'policy', agent_id, '--forget-site', agent_id], /--forget-site.*an agent id/],
    [['resource', 'rotate-secret', 'riat_x'], /an initial access token id.*registration-token/],
    [['registration-token', 'delete', 'iat_x'], /"riat_", and this is an initial access token\./],
    [['grant', 'revoke', 'req_x'], /a request id.*approval/],
    [['owner', 'delete', agent_id], /"owner_", and this is an agent id\. See "auth-agent agent/],
    [['agent', 'show', 'owner_x'], /an owner id\. See "auth-agent owner/],
    [['grant', 'list', '--agent', client_id], /--agent.*a client id/],
    [['approval', 'deny', 'ac_x'], /an authorization code/],
    [['approval', 'approve', 'req_x', '--agent', ''], /--agent.*empty/],
    [['agent', 'show', ''], /empty/],
    [['client', 'disable', ' '], /empty/],
    [['agent', 'show', '-x'], /unknown option '-x'/],
    [['agent', 'show'], /missing required argument 'agent_id'/],
    [['agent', 'shwo', agent_id], /unknown command 'shwo'/],
  ]
  for (const [args, message] of rows) {
    const refused = await run(environment, ...args)
    assertSentence(t, refused, args.join(' '))
    t.match(refused, { code: 2, out: '', err: message }, args.join(' '))
  }
  t.match(await run(environment, 'backup', ''), { code: 1, err: /is empty/ })
  t.match(await json(environment, 'agent', 'show', agent_id), { agent_id })
  t.match(await json(environment, 'client', 'show', client_id), { client_id })
  const document = 'https://site.example/client.json'
  const unknown = await run(environment, 'client', 'show', document)
  t.match(unknown, { code: 1, err: `There is no ${document}\n` }, 'a URL can be a client_id')
})
