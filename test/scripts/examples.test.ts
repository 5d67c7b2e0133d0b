import { writeFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import type { Settings } from '../../plugins/core/settings.ts'
import {
  authenticate,
  build,
  createAgent,
  createApi,
  createKeyedAgent,
  createSite,
  open,
  signIn,
  signInOwner,
} from '../harness.ts'
import { type Environment, fresh, run, serve } from './command.ts'

/** What each word of an example stands for: a new thing for each example, since some delete it. */
const WORDS: Record<string, (app: FastifyInstance, folder: string) => Promise<string[]>> = {
  'client_mZ4k…': async (app) => [(await createSite(app)).client_id],
  'agent_mZ4k… NzbLs…': async (app) => {
    const { agent_id, kid } = await createKeyedAgent(app)
    return [agent_id, kid]
  },
  'agent_mZ4k…': async (app) => [(await createAgent(app)).agent_id],
  'rs_mZ4k…': async (app) => {
    const uri = `https://${crypto.randomUUID()}.example/`
    return [(await createApi(app, { uri })).client_id]
  },
  'riat_mZ4k…': async (app) => [(await app.registration.createInitialAccessToken()).token_id],
  'owner_mZ4k…': async (app) => {
    const email = `${crypto.randomUUID()}@example.com`
    return [(await signInOwner(app, { email })).owner.owner_id]
  },
  'grant_mZ4k…': async (app) => {
    const site = await createSite(app)
    const agent = await createAgent(app, undefined, { sites: 'any' })
    await signIn(app, site, agent)
    const [grant] = await app.store.grants.list({ agent_id: agent.agent_id, client_id: undefined })
    return [grant?.grant_id ?? '']
  },
  'req_8sK2…': async (app) => {
    const { request_id } = await open(app, await createSite(app))
    const agent = await createAgent(app, undefined, { sites: 'ask' })
    await authenticate(app, request_id, agent)
    return [request_id]
  },
  '/backups/auth-agent.db': async (_app, folder) => [`${folder}/backup.db`],
  'public.jwk': async (_app, folder) => {
    const { publicKey } = await generateKeyPair('ES256')
    writeFileSync(`${folder}/public.jwk`, JSON.stringify(await exportJWK(publicKey)))
    return [`${folder}/public.jwk`]
  },
}

t.test('every command has an example in its help, and every example works', async (t) => {
  const environment = await fresh(t)
  const settings: Partial<Settings> = environment
  const app = await build(t, settings)
  const examples = await findExamples(environment, t.fail.bind(t))
  t.ok(examples.length > 40)
  for (const example of examples) {
    const line = await fillIn(example, app, t.testdirName)
    t.notMatch(line, '…', `${example}: every word stands for something`)
    const [command = '', ...args] = splitWords(line)
    if (command.startsWith('ISSUER=')) {
      const { lines } = await serve(t, { ...environment, ISSUER: command.slice('ISSUER='.length) })
      t.match(lines[0]?.msg, /^serving https:\/\/auth\.example\.com,/, example)
    } else {
      const { code, err } = await run(environment, ...args)
      t.match({ command, code, err }, { command: 'auth-agent', code: 0, err: '' }, example)
    }
  }
})

/** The examples of a command and of all commands below it. */
async function findExamples(
  environment: Environment,
  fail: (message: string) => void,
  command: string[] = [],
): Promise<string[]> {
  const { out } = await run(environment, ...command, '--help')
  const names = [...sectionOf(out, 'Commands').matchAll(/^ {2}([a-z][\w-]*)/gm)].map(
    ([, name = '']) => name,
  )
  const examples = sectionOf(out, 'Example').split('\n').filter(Boolean)
  if (names.length === 0 && examples.length === 0) fail(`${command.join(' ')}: no example`)
  for (const name of names.filter((name) => name !== 'help')) {
    examples.push(...(await findExamples(environment, fail, [...command, name])))
  }
  return examples.map((line) => line.trim())
}

/** The lines under a heading of a help text, up to the next empty line. */
function sectionOf(help: string, heading: string): string {
  return help.match(new RegExp(`^${heading}:\n((?: .*\n?)*)`, 'm'))?.[1] ?? ''
}

async function fillIn(example: string, app: FastifyInstance, folder: string): Promise<string> {
  let line = example
  for (const [words, make] of Object.entries(WORDS)) {
    if (line.includes(words)) line = line.replace(words, (await make(app, folder)).join(' '))
  }
  return line
}

/** The words of a line as a shell has them. */
function splitWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  )
}
