import t from 'tap'
import { fresh, json, run } from './command.ts'

const esc = '\u001b'

t.test('what is refused is one sentence, and nothing is written', async (t) => {
  const environment = fresh(t)
  const site = (uri: string) => ['client', 'create', '--name', 'Shop', '--redirect-uri', uri]
  const refusals: [string[], number, RegExp][] = [
    [site('http://shop.example/cb'), 1, /must be https/],
    [site('https://shop.example/cb#part'), 1, /fragment/],
    [site('https://*.shop.example/cb'), 1, /wildcard/],
    [site('nonsense'), 1, /absolute URL/],
    [['client', 'create', '--name', `a${esc}[31m`, '--redirect-uri', 'https://a.b/'], 1, /name/],
    [['client', 'create', '--redirect-uri', 'https://a.b/'], 2, /--name/],
    [['agent', 'create', '--email', 'nobody'], 1, /mail/],
    [['agent', 'create'], 2, /--email/],
    [['agent', 'show', `agent_${esc}[31m`], 1, /There is no agent_/],
    [['agent', 'update', 'agent_x'], 2, /nothing to change/],
    [['client', 'rotate-secret', 'client_x', '--overlap', '-1'], 2, /seconds/],
    [['client', 'delete', 'client_x'], 1, /client_x/],
    [['grant', 'revoke', 'grant_x'], 1, /grant_x/],
    [[`no${esc}such`], 2, /unknown command/],
  ]
  await run(environment, 'client', 'list')
  const outcomes = await Promise.all(refusals.map(([args]) => run(environment, ...args)))
  for (const [index, [args, code, sentence]] of refusals.entries()) {
    const refused = outcomes[index]
    if (refused === undefined) throw new Error('no outcome')
    t.match(refused, { code, out: '', err: sentence }, args.join(' '))
    t.notOk(refused.err.includes(esc) || /^ +at /m.test(refused.err), 'no escape, no stack trace')
  }
  const asJson = await run(environment, ...site('http://shop.example/cb'), '--json')
  t.match(JSON.parse(asJson.err), { error: 'invalid_redirect_uri', error_description: /https/ })
  const usage = await run(environment, 'agent', 'create', '--json')
  t.match(JSON.parse(usage.err), { error: 'usage', error_description: /--email/ })
  t.same(await json(environment, 'client', 'list'), [])
  t.same(await json(environment, 'agent', 'list'), [])
})

t.test('bad settings stop any command with one message that names them all', async (t) => {
  const environment = { ...fresh(t), PORT: 'x', ISSUER: 'http://a.example', LOG_LEVEL: 'loud' }
  for (const args of [['serve'], ['client', 'list']]) {
    const { code, err } = await run(environment, ...args)
    t.equal(code, 1)
    for (const name of ['PORT=x', 'ISSUER=', 'LOG_LEVEL=loud']) t.match(err, name)
    t.notMatch(err, /^ +at /m)
  }
})

t.test('a wrong encryption key is one sentence', async (t) => {
  const environment = fresh(t)
  await run(environment, 'key', 'list')
  const wrong = await run({ ...environment, ENCRYPTION_KEY: 'ab'.repeat(32) }, 'key', 'list')
  t.match(wrong, {
    code: 1,
    out: '',
    err: /ENCRYPTION_KEY: is not the key that the database .* was made with/,
  })
  t.notMatch(wrong.err, /^ +at /m)
})
