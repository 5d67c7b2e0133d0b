import { type Command, Option } from 'commander'
import type { Resource } from '../../db/store.ts'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import { SIGNING_ALGS } from '../../plugins/core/settings.ts'
import { OPEN_TO, type OpenTo } from '../../schemas/resource.ts'
import { seconds, words } from './client.ts'
import { facts, print, table, time, withCore } from './session.ts'

interface CreateOptions {
  uri: string
  scope: string[]
  name?: string
  openTo?: OpenTo
  accessTokenAlg?: string
}

export function addResourceCommands(program: Command): void {
  const resource = program
    .command('resource')
    .description('the APIs and MCP servers that access tokens can be for')

  resource
    .command('create')
    .description('register an API; the secret with which it introspects is shown once')
    .requiredOption('--uri <uri>', 'its URI, exactly as it expects it in the audience of tokens')
    .option('--scope <scope...>', 'the scopes that it knows', [])
    .option('--name <name>', 'what you call it')
    .addOption(openTo().default('registered'))
    .addOption(accessTokenAlg())
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent resource create --uri https://api.example/mcp --scope read write',
    )
    .action(async (options: CreateOptions, command) => {
      const { uri, scope, name, openTo: open_to, accessTokenAlg: access_token_alg } = options
      const given = { uri, scopes: words(scope), name, open_to, access_token_alg }
      const { resource, resource_secret, twin_uri } = await withCore((app) =>
        app.registration.createResource(given),
      )
      const keep = 'Keep the resource_secret now: it is not shown again.'
      const twin = `${twin_uri} is registered too. Until now it was meant by ${uri} as well; from now on each of the two means itself alone.`
      const note = twin_uri === undefined ? keep : `${keep}\n\n${twin}`
      const created = { ...shown(resource), resource_secret }
      print(command, { ...created, ...(twin_uri !== undefined && { twin_uri }) }, () =>
        described(created, note),
      )
    })

  resource
    .command('list')
    .description('list the registered APIs')
    .addHelpText('after', '\nExample:\n  auth-agent resource list --json')
    .action(async (_options, command) => {
      const resources = (await withCore((app) => app.store.resources.list())).map(shown)
      print(command, resources, () =>
        table(
          resources.map(({ created_at, ...rest }) => ({ ...rest, created: time(created_at) })),
          'No resource is registered.',
        ),
      )
    })

  resource
    .command('show <resource_id>')
    .description('show one API')
    .addHelpText('after', '\nExample:\n  auth-agent resource show rs_mZ4k…')
    .action(async (resource_id: string, _options, command) => {
      const found = await withCore((app) => app.store.resources.find(resource_id))
      if (found === undefined) throw new OAuthError('not_found', `There is no ${resource_id}`)
      print(command, shown(found), described)
    })

  resource
    .command('update <resource_id>')
    .description('change what is given')
    .option('--scope <scope...>', 'all scopes that it knows from now on; "" for none')
    .option('--name <name>', 'what you call it')
    .addOption(openTo())
    .addOption(accessTokenAlg('server'))
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent resource update rs_mZ4k… --scope read write admin',
    )
    .action(async (resource_id: string, options: Partial<CreateOptions>, command) => {
      const { scope, name, openTo: open_to, accessTokenAlg: alg } = options
      if (Object.keys(options).length === 0) {
        command.error('error: nothing to change, see --help for what can be')
      }
      const updated = await withCore((app) =>
        app.registration.updateResource(resource_id, {
          ...(scope !== undefined && { scopes: words(scope) }),
          ...(name !== undefined && { name }),
          ...(open_to !== undefined && { open_to }),
          ...(alg !== undefined && { access_token_alg: alg === 'server' ? null : alg }),
        }),
      )
      print(command, shown(updated), described)
    })

  resource
    .command('rotate-secret <resource_id>')
    .description('make a new secret; it is shown once')
    .option('--overlap <seconds>', 'for how long the old one stays good', seconds, 0)
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent resource rotate-secret rs_mZ4k… --overlap 86400',
    )
    .action(async (resource_id: string, options: { overlap: number }, command) => {
      const resource_secret = await withCore((app) =>
        app.registration.rotateResourceSecret(resource_id, options.overlap),
      )
      print(command, { resource_id, resource_secret }, facts)
    })

  resource
    .command('delete <resource_id>')
    .description('issue no more tokens for it')
    .addHelpText('after', '\nExample:\n  auth-agent resource delete rs_mZ4k…')
    .action(async (resource_id: string, _options, command) => {
      const deleted = await withCore((app) => app.store.resources.delete(resource_id))
      if (!deleted) throw new OAuthError('not_found', `There is no ${resource_id}`)
      print(command, { resource_id, deleted }, () => `Deleted ${resource_id}.`)
    })
}

/** Clients that the operator did not register are those with a metadata document or of RFC 7591. */
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
    `what signs tokens for it, where it takes one algorithm alone${server}`,
  ).choices([...SIGNING_ALGS, ...others])
}

function shown({ normal_uri: _, ...resource }: Resource): Omit<Resource, 'normal_uri'> {
  return resource
}

function described(resource: ReturnType<typeof shown>, note?: string): string {
  const text = facts({ ...resource, created_at: time(resource.created_at) })
  return note === undefined ? text : `${text}\n\n${note}`
}
