import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Child, type Handlers } from '../bench/calls.ts'
import type { DriverHandlers, Scenario } from '../bench/driver.ts'
import type { AuthAgentHandlers } from '../bench/servers/auth-agent.ts'
import type { ServerHandlers } from '../bench/servers/server.ts'

const scenarios: Scenario[] = [
  'refresh',
  'sign-in',
  'introspection',
  'userinfo',
  'client_credentials',
  'discovery',
  'key set',
]

function start<H extends Handlers>(t: Test, file: string, ...parameters: string[]): Child<H> {
  const child = new Child<H>(file, parameters)
  t.teardown(() => child.stop())
  return child
}

t.test('the benchmark puts every scenario on ours and on its peers', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const driver = start<DriverHandlers>(t, 'driver.ts')
  const ours = start<AuthAgentHandlers>(t, 'servers/auth-agent.ts', directory)
  const limit = start<ServerHandlers>(t, 'servers/limit.ts', directory)
  const servers: [string, Child<ServerHandlers>][] = [
    ['ours', ours],
    ['oidc-provider on SQLite', start(t, 'servers/oidc-provider.ts', directory, 'sqlite')],
    ['oidc-provider in memory', start(t, 'servers/oidc-provider.ts', directory, 'memory')],
    ['the limit', limit],
  ]
  for (const [name, server] of servers) {
    const site = await server.call('site')
    const asked = server === limit ? (['refresh', 'discovery'] as const) : scenarios
    for (const scenario of asked) {
      await driver.call('prepare', { site, scenario, connections: 4, seconds: 0.05 })
      t.ok((await driver.call('run')).requests > 0, `${name}: ${scenario}`)
      await driver.call('finish')
    }
  }

  const site = await ours.call('site')
  const refreshTokens = await ours.call('storeGrants', 500, 10)
  t.equal(refreshTokens.length, 10)
  const paced = { connections: 2, seconds: 0.05, rate: 100 }
  await driver.call('prepare', { site, scenario: 'refresh', ...paced, refreshTokens })
  t.ok((await driver.call('run')).requests > 0, 'refreshes stored grants at a given rate')
  await driver.call('finish')

  await driver.call('wait', site, 20)
  t.ok((await driver.call('redirect', site, 5, 1)).fromQuestion.p99 > 0, 'redirects')
  await driver.call('stopWaiting')
  t.match(await driver.call('tryWrongSecrets', site, 1, 0.05), { 401: Number })
})
