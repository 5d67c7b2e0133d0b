import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

/** The rooms of the core, lowest first: each may use those before it, and none that come after. */
const ROOMS = [
  'http',
  'documents',
  'crypto',
  'limits',
  'mail',
  'audit',
  'registry',
  'callers',
  'persons',
  'sign-in',
].map((room) => `plugins/core/${room}/`)

/** What every room may use. */
const BASE = ['settings.ts', 'clock.ts', 'store.ts'].map((file) => `plugins/core/${file}`)

function rooms(): Record<string, { own: string[]; packages: RegExp }> {
  const below = [...BASE, 'schemas/', 'db/store.ts']
  return Object.fromEntries([
    ...BASE.map((file) => [file, { own: below, packages: /./ }]),
    ...ROOMS.map((room, index) => [
      room,
      { own: [...below, ...ROOMS.slice(0, index + 1)], packages: /./ },
    ]),
  ])
}

/**
 * Who may import whom. The key is a folder or a file (the longest that fits counts), the value what
 * it may import: folders, files, or packages. Types count as much as values.
 */
const allowed: Record<string, { own: string[]; packages: RegExp }> = {
  'scripts/': { own: ['scripts/', 'plugins/', 'schemas/', 'db/store.ts'], packages: /./ },
  'plugins/app.ts': { own: ['plugins/', 'schemas/'], packages: /^(fastify|node:.*)$/ },
  ...rooms(),
  'plugins/core/': { own: ['plugins/core/', 'schemas/', 'db/store.ts'], packages: /./ },
  'plugins/pages/': {
    own: ['plugins/pages/', 'plugins/core/', 'schemas/'],
    packages: /^(ghtml|fastify|node:.*)/,
  },
  'plugins/oauth/grants/': {
    own: ['plugins/oauth/grants/', 'plugins/core/', 'schemas/'],
    packages: /^fastify$/,
  },
  'plugins/': {
    own: ['plugins/core/', 'plugins/pages/', 'schemas/'],
    packages: /^(?!jose|bcryptjs|kysely|better-sqlite3|pg)/,
  },
  'plugins/oauth/authorization/': {
    own: ['plugins/oauth/authorization/', 'plugins/core/', 'plugins/pages/', 'schemas/'],
    packages: /^(fastify|node:.*)$/,
  },
  'plugins/oauth/authorize.ts': {
    own: ['plugins/oauth/authorization/', 'plugins/core/', 'plugins/pages/', 'schemas/'],
    packages: /^(fastify|fastify-plugin|@fastify\/.*|@sinclair\/typebox|node:.*)$/,
  },
  'plugins/oauth/token.ts': {
    own: ['plugins/core/', 'plugins/oauth/grants/', 'schemas/'],
    packages: /^(fastify|fastify-plugin|@fastify\/.*)$/,
  },
  // Agents install it without a server.
  'agent/': { own: ['agent/'], packages: /^(jose|node:.*)$/ },
  'agent/mcp.ts': {
    own: ['agent/'],
    packages: /^(@modelcontextprotocol\/server(\/stdio)?|playwright-core|node:module)$/,
  },
  'schemas/': { own: ['schemas/'], packages: /^@sinclair\/typebox/ },
  'db/': {
    own: ['db/', 'schemas/'],
    packages: /^(kysely|better-sqlite3|pg|auth-agent\/package\.json|node:.*)/,
  },
}

const root = join(import.meta.dirname, '..')
const sources = globSync(
  ['agent/**/*.ts', 'scripts/**/*.ts', 'plugins/**/*.ts', 'schemas/**/*.ts', 'db/**/*.ts'],
  {
    cwd: root,
  },
).map((file) => file.replaceAll('\\', '/'))

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const found = text.matchAll(
    /^\s*(?:import|export)\b[^'"]*?\bfrom '([^']+)'|import\(?\s*'([^']+)'/gm,
  )
  return [...found].map(([, from, bare]) => from ?? bare ?? '')
}

t.test('every file imports only what its place in the architecture allows', async (t) => {
  t.ok(sources.length > 40)
  for (const file of sources) {
    const [place = ''] = Object.keys(allowed)
      .filter((prefix) => file.startsWith(prefix))
      .sort((a, b) => b.length - a.length)
    const rule = allowed[place]
    for (const name of importsOf(file)) {
      const target = name.startsWith('.')
        ? normalize(join(dirname(file), name)).replaceAll('\\', '/')
        : undefined
      const fine =
        target === undefined
          ? rule?.packages.test(name)
          : rule?.own.some((prefix) => target.startsWith(prefix))
      t.ok(fine, `${file} imports ${name}`)
    }
  }
})

t.test('the environment is read in one file and Fastify() is called in one', async (t) => {
  const having = (words: RegExp) =>
    sources.filter((file) => words.test(readFileSync(join(root, file), 'utf8')))
  t.same(
    having(/process\.env/).filter((file) => !/^(agent|scripts)\//.test(file)),
    ['plugins/core/settings.ts'],
  )
  t.same(
    having(/\bFastify\(/).filter((file) => !file.startsWith('scripts/')),
    ['plugins/app.ts'],
  )
  t.same(
    // Pages carry script that runs in the browser; an agent has a clock of its own.
    having(/Date\.now\(|new Date\(\)/).filter(
      (file) => !/^(agent|scripts|plugins\/pages)\//.test(file),
    ),
    ['plugins/core/clock.ts'],
  )
})

t.test('an ability of the core depends on nothing in a higher room', async (t) => {
  const abilities = sources.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    const [, name, list = ''] =
      text.match(/\{\s*name: '(\w+)',?(?:\s*dependencies: \[([^\]]*)\],?)?\s*\},?\s*\)\s*$/) ?? []
    if (name === undefined || !file.startsWith('plugins/core/')) return []
    const dependencies = [...list.matchAll(/'(\w+)'/g)].map(([, each = '']) => each)
    return [{ name, file, text, dependencies }]
  })
  const height = (file: string) =>
    file === 'plugins/core/maintenance.ts'
      ? ROOMS.length
      : ROOMS.findIndex((room) => file.startsWith(room))
  t.ok(abilities.length > 25)
  for (const { name, file, text, dependencies } of abilities) {
    for (const dependency of dependencies) {
      const used = abilities.find((each) => each.name === dependency)
      t.ok(
        used !== undefined && height(used.file) <= height(file),
        `${name} depends on ${dependency}`,
      )
    }
    // What a file takes off the instance, it names as a dependency of its plugin.
    const taken = new Set(
      [...text.matchAll(/\bapp\.(\w+)|const \{([^}]*)\} = app\n/g)].flatMap(
        ([, one = '', several = '']) => [one, ...several.split(',').map((each) => each.trim())],
      ),
    )
    for (const each of abilities) {
      if (taken.has(each.name)) {
        t.ok(dependencies.includes(each.name), `${name} names ${each.name}, which it uses`)
      }
    }
  }
})
