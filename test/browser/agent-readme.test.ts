import { readFileSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import * as library from '../../agent/index.ts'
import { makeFolder } from '../processes.ts'
import { lookalike, startAttacker } from './attacker.ts'
import { closeBrowser, openWindow, setScene, skip } from './chromium.ts'

const shown = readFileSync(join(import.meta.dirname, '../../agent/README.md'), 'utf8')

/** The blocks of code of a section in a language. */
function blocks(title: string, language: string): string[] {
  const [, section = ''] = shown.match(new RegExp(`^## ${title}\\n(.*?)^## `, 'ms')) ?? []
  return section
    .split(`\`\`\`${language}\n`)
    .slice(1)
    .map((rest) => rest.split('```')[0] ?? '')
}

t.test('What the page for agents shows', { skip }, async (t) => {
  const { app, website, agent } = await setScene(t)
  const page = await openWindow(t)
  const attacker = await startAttacker(t)
  attacker.show(lookalike('req_a', { client_id: 'client_a' }))
  const folder = makeFolder(t)

  t.test('each line runs as it stands', async (t) => {
    const before = { ...process.env }
    t.teardown(() => {
      process.env = before
    })
    Object.assign(process.env, {
      AUTH_AGENT_ISSUER: app.settings.ISSUER,
      AUTH_AGENT_ID: agent.agent_id,
      AUTH_AGENT_KEY_FILE: join(folder, 'agent.key'),
    })
    const said: string[] = []
    const register = async () => {
      const jwk = JSON.parse(readFileSync(join(folder, 'public.jwk'), 'utf8'))
      await app.agentKeys.add(agent.agent_id, jwk)
    }
    const look = async () => {
      await page.getByRole('heading', { name: 'Hello, owner@example.com' }).waitFor()
    }
    const [key, browser, http, refusal, ...others] = blocks('For agents', 'js')
    t.same(others, [])
    // The names of the example are those of this test's servers, and the import is that of the source.
    const code = [
      key,
      'await register()',
      browser,
      'await look()',
      http,
      refusal,
      'return callback',
    ]
      .join('\n')
      .replace(/^import .*$/gm, '')
      .replaceAll("'public.jwk'", JSON.stringify(join(folder, 'public.jwk')))
      .replaceAll("'agent.key'", JSON.stringify(join(folder, 'agent.key')))
      .replaceAll('https://shop.example', website.url)
      .replaceAll('shop.example', new URL(website.url).host)
      .replaceAll('https://lookalike.example', attacker.origin)
    const names = {
      ...library,
      writeFile,
      page,
      register,
      look,
      console: { log: (line: string) => said.push(line) },
    }
    const run = Object.getPrototypeOf(async () => {}).constructor(...Object.keys(names), code)
    const callback: Response = await run(...Object.values(names))
    t.equal(statSync(join(folder, 'agent.key')).mode & 0o777, 0o600)
    t.equal(callback.status, 303, 'the website signed the agent in')
    const session = callback.headers
      .getSetCookie()
      .map((each) => each.split(';')[0])
      .join('; ')
    const home = await fetch(website.url, { headers: { cookie: session } })
    t.match(await home.text(), /Hello, owner@example\.com.*my-model/s)
    t.same(said, ['wrong_origin'])
    t.same(attacker.captured, [])
  })

  t.test('the configuration for MCP names the settings that the tool reads', async (t) => {
    const [snippet = ''] = blocks('For language models \\(MCP\\)', 'json')
    const { env, command } = JSON.parse(snippet).mcpServers['auth-agent']
    const source = ['mcp', 'agent', 'credentials'].map((name) =>
      readFileSync(join(import.meta.dirname, `../../agent/${name}.ts`), 'utf8'),
    )
    for (const name of Object.keys(env)) t.ok(source.join().includes(name), name)
    const { bin } = JSON.parse(
      readFileSync(join(import.meta.dirname, '../../agent/package.json'), 'utf8'),
    )
    t.ok(command in bin)
  })

  t.test('every code of an error is in the table', async (t) => {
    const source = readFileSync(join(import.meta.dirname, '../../agent/errors.ts'), 'utf8')
    const codes = [...source.matchAll(/^ {2}\| '(\w+)'/gm)].map(([, code = '']) => code)
    t.ok(codes.length > 10)
    const [, section = ''] = shown.match(/^## For agents\n(.*?)^## /ms) ?? []
    for (const code of codes) t.ok(section.includes(`\`${code}\``), code)
  })
}).then(closeBrowser)
