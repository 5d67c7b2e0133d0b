import { type Command, Option } from 'commander'
import type { Resource } from '../../db/store.ts'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import { OPEN_TO, type OpenTo } from '../../schemas/resource.ts'
import { seconds, words } from './client.ts'
import { facts, print, table, time, withCore } from './session.ts'

interface CreateOptions {
  uri: string
  scope: string[]
  name?: string
  openTo?: OpenTo
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
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent resource create --uri https://api.example/mcp --scope read write',
    )
    .action(async (options: CreateOptions, command) => {
      const { uri, scope, name, openTo: open_to } = options
      const { resource, resource_secret } = await withCore((app) =>
        app.registration.createResource({ uri, scopes: words(scope), name, open_to }),
      )
      print(command, { ...shown(resource), resource_secret }, (created) =>
        described(created, 'Keep the resource_secret now: it is not shown again.'),
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
    .description('change the scopes, the name or who may ask for it')
    .option('--scope <scope...>', 'all scopes that it knows from now on')
    .option('--name <name>', 'what you call it')
    .addOption(openTo())
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent resource update rs_mZ4k… --scope read write admin',
    )
    .action(async (resource_id: string, options: Partial<CreateOptions>, command) => {
      const { scope, name, openTo: open_to } = options
      if (scope === undefined && name === undefined && open_to === undefined) {
        command.error('error: nothing to change, give --scope, --name or --open-to')
      }
      const updated = await withCore((app) =>
        app.registration.updateResource(resource_id, {
          ...(scope !== undefined && { scopes: words(scope) }),
          ...(name !== undefined && { name }),
          ...(open_to !== undefined && { open_to }),
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

function shown({ normal_uri: _, ...resource }: Resource): Omit<Resource, 'normal_uri'> {
  return resource
}

function described(resource: ReturnType<typeof shown>, note?: string): string {
  const text = facts({ ...resource, created_at: time(resource.created_at) })
  return note === undefined ? text : `${text}\n\n${note}`
}
