import { type Command, Option } from 'commander'
import type { Resource } from '../../db/store.ts'
import { SIGNING_ALGS } from '../../plugins/core/settings.ts'
import { OPEN_TO, type OpenTo } from '../../schemas/resource.ts'
import { keepNow, Noun } from './noun.ts'
import { words } from './options.ts'
import { facts, print, time, withCore } from './session.ts'

interface CreateOptions {
  uri: string
  scope: string[]
  name?: string
  openTo?: OpenTo
  accessTokenAlg?: string
}

type ShownResource = Omit<Resource, 'normal_uri'>

export function addResourceCommands(program: Command): void {
  const noun = new Noun<ShownResource>(program, {
    name: 'resource',
    description: 'the APIs and MCP servers that access tokens can be for',
    id: 'resource_id',
    kind: 'resource_id',
    list: async (app) => (await app.store.resources.list()).map(toShown),
    delete: (app, id) => app.store.resources.delete(id),
    toRow: ({ created_at, ...rest }) => ({ ...rest, created: time(created_at) }),
    none: 'No resource is registered.',
  })
  addCreate(noun)
  noun.addList('list the registered APIs')
  noun.addShow(
    'show one API',
    async (app, id) => {
      const found = await app.store.resources.find(id)
      return found && toShown(found)
    },
    describe,
  )
  addUpdate(noun)
  noun.addRotateSecret(
    'resource_secret',
    ({ registration }, id, { overlap }) => registration.rotateResourceSecret(id, overlap ?? 0),
    { canBeCompromised: false },
  )
  noun.addDelete('issue no more tokens for it')
}

function addCreate(noun: Noun<ShownResource>): void {
  noun
    .add(
      'create',
      'register an API; the secret with which it introspects is shown once',
      '--uri https://api.example/mcp --scope read write',
    )
    .requiredOption(
      '--uri <uri>',
      'its URI, exactly as the API expects it in the audience of tokens',
    )
    .option('--scope <scope...>', 'the scopes that it knows', [])
    .option('--name <name>', 'what you call it')
    .addOption(openTo().default('registered'))
    .addOption(accessTokenAlg())
    .action(async (options: CreateOptions, command) => {
      const { uri, scope, name, openTo: open_to, accessTokenAlg: access_token_alg } = options
      const given = { uri, scopes: words(scope), name, open_to, access_token_alg }
      const { resource, resource_secret, twin_uri } = await withCore((app) =>
        app.registration.createResource(given),
      )
      const keep = keepNow('resource_secret')
      const twin = `${twin_uri} is also registered. Until now ${uri} counted as another spelling of it. From now on they are two resources.`
      const note = twin_uri === undefined ? keep : `${keep}\n\n${twin}`
      const created = { ...toShown(resource), resource_secret }
      print(command, { ...created, ...(twin_uri !== undefined && { twin_uri }) }, () =>
        describe(created, note),
      )
    })
}

function addUpdate(noun: Noun<ShownResource>): void {
  noun
    .addOfOne('update', 'change the given options only', '--scope read write admin')
    .option('--scope <scope...>', 'all scopes that it knows from now on; "" for none')
    .option('--name <name>', 'what you call it')
    .addOption(openTo())
    .addOption(accessTokenAlg('server'))
    .action(async (resource_id: string, options: Partial<CreateOptions>, command) => {
      const { scope, name, openTo: open_to, accessTokenAlg: alg } = options
      if (Object.keys(options).length === 0) {
        command.error('error: nothing to change: give at least one option')
      }
      const updated = await withCore((app) =>
        app.registration.updateResource(resource_id, {
          ...(scope !== undefined && { scopes: words(scope) }),
          ...(name !== undefined && { name }),
          ...(open_to !== undefined && { open_to }),
          ...(alg !== undefined && { access_token_alg: alg === 'server' ? null : alg }),
        }),
      )
      print(command, toShown(updated), describe)
    })
}

/** Clients that the operator did not register: those with a metadata document, and those of RFC 7591. */
function openTo(): Option {
  return new Option(
    '--open-to <whom>',
    'who may ask for it: clients that you registered, or anyone, as for a public MCP server',
  ).choices(OPEN_TO)
}

/** Of `create`; for `update` with the word for the server's own. */
function accessTokenAlg(...others: string[]): Option {
  const server = others.map((word) => `, or \`${word}\` for the server's own`).join('')
  return new Option(
    '--access-token-alg <alg>',
    `the algorithm that signs tokens for it, if it accepts only one${server}`,
  ).choices([...SIGNING_ALGS, ...others])
}

/** Leaves out `normal_uri`, which is only for comparison. */
function toShown({ normal_uri: _, ...resource }: Resource): ShownResource {
  return resource
}

function describe(resource: ShownResource, note?: string): string {
  const text = facts({ ...resource, created_at: time(resource.created_at) })
  return note === undefined ? text : `${text}\n\n${note}`
}
