import t from 'tap'
import { createWorld, nextOf } from './world.ts'

/** The cells of a line of CSV. */
const cells = (line: string) =>
  [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
    quoted === undefined ? plain : quoted.replaceAll('""', '"'),
  )

t.test('the history has what agents did and what their owner did, by filters', async (t) => {
  const { ann, clock, site, other } = await createWorld(t)
  const { agent_id } = ann.agent
  clock.advance(86_400)
  await ann.post(`/account/agents/${agent_id}/name`, { name: 'Renamed' })
  await ann.post('/account/sign-ins/stop', { everything: 'yes' })
  const rows = async (query: string) => {
    const { body, statusCode } = await ann.get(`/account/history?${query}`)
    t.equal(statusCode, 200, query)
    return [...body.matchAll(/<li class="event">.*?(?=<li class="event">|<\/ol>)/gs)]
      .map(([row]) => row)
      .join('\n')
  }
  const all = await rows('')
  for (const part of ['Sign-in: granted', 'Approval: asked', 'Agent: renamed', 'End of a sign-in'])
    t.match(all, part)
  t.match(all, 'done by an owner')
  const filtered: [string, string, RegExp][] = [
    ['event=approval', 'Approval: asked', /Sign-in: granted|renamed/],
    ['from=2027-01-16', 'renamed', /Sign-in: granted/],
    ['to=2027-01-15', 'Sign-in: granted', /renamed/],
    ['from=2027-01-15&to=2027-01-15', 'Sign-in: granted', /renamed/],
    [`client_id=${other.client_id}`, 'Approval: asked', /Sign-in: granted/],
    [`client_id=${site.client_id}`, 'Sign-in: granted', /Approval: asked/],
    [`agent_id=${agent_id}`, 'Sign-in: granted', /invitation/],
  ]
  for (const [query, there, missing] of filtered) {
    const found = await rows(query)
    t.match(found, there, query)
    t.notMatch(found, missing, query)
  }
  for (const query of [
    'from=yesterday',
    'to=2027-13-01',
    'event=other',
    'from=2027-01-15&from=2',
  ]) {
    t.equal((await ann.get(`/account/history?${query}`)).statusCode, 400, query)
  }
  t.match((await ann.get('/account/history?before=nonsense')).statusCode, 200)
})

t.test('the history goes on page by page, and every event is on one of them', async (t) => {
  const { app, ann } = await createWorld(t)
  const { agent_id } = ann.agent
  for (let index = 0; index < 90; index += 1) {
    await app.audit.record({ event: 'key', outcome: `number ${index}`, agent_id })
  }
  const seen: string[] = []
  let path: string | undefined = 'account/history?event=key'
  for (let pages = 0; path !== undefined && pages < 9; pages += 1) {
    const { body } = await ann.get(`/${path}`)
    t.ok(Buffer.byteLength(body) < 60 * 1024, `${Buffer.byteLength(body)} bytes`)
    seen.push(...[...body.matchAll(/number (\d+)/g)].map(([, number = '']) => number))
    path = nextOf(body)
  }
  t.same(
    seen,
    Array.from({ length: 90 }, (_, index) => String(89 - index)),
  )
})

t.test('an export names its zone, and no cell of it is a formula', async (t) => {
  const { app, ann } = await createWorld(t)
  const { agent_id } = ann.agent
  const formulas = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\uff1d1', '"=1",2', 'a,b']
  for (const model of formulas) {
    await app.audit.record({ event: 'sign_in', outcome: 'access_denied', agent_id, model })
  }
  const csv = await ann.get('/account/history/export?format=csv')
  t.match(csv.headers['content-type'], 'text/csv')
  t.match(csv.headers['content-disposition'], 'attachment; filename="history-utc.csv"')
  const lines = csv.body.split('\r\n')
  t.match(lines[0], /^time_utc,event,/)
  t.match(lines[1], /^2027-01-15T08:00:00Z,/)
  const models = lines.map((line) => cells(line)[5])
  for (const line of lines) {
    for (const cell of cells(line)) t.notMatch(cell, /^[=+\-@\t\r\uff1d]/, line)
  }
  for (const model of ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", '"=1",2', 'a,b']) {
    t.ok(models.includes(model), model)
  }

  const json = await ann.get('/account/history/export?format=json&event=sign_in')
  t.match(json.headers['content-type'], 'application/json')
  const events = json.json()
  t.equal(events.length, formulas.length + 1)
  t.match(events[0], { time_utc: '2027-01-15T08:00:00Z', event: 'sign_in', agent_id })
  t.equal((await ann.get('/account/history/export?format=xml')).statusCode, 400)
  t.same((await ann.get('/account/history/export?format=json&client_id=none')).json(), [])
})

t.test('an export has more events than are read at once', async (t) => {
  const { app, ann } = await createWorld(t)
  const { agent_id } = ann.agent
  await Promise.all(
    Array.from({ length: 1100 }, () =>
      app.audit.record({ event: 'refresh', outcome: 'several_copies', agent_id }),
    ),
  )
  const { body } = await ann.get('/account/history/export?format=json&event=refresh')
  t.equal(
    new Set(JSON.parse(body).map(({ event_id }: { event_id: string }) => event_id)).size,
    1100,
  )
})
