import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import type { Client } from '../../db/store.ts'
import { OAuthError } from '../../plugins/core/errors.ts'
import { facts, print, table, time, withCore } from './session.ts'

export function addClientCommands(program: Command): void {
  const client = program.command('client').description('the websites that agents sign in to')

  client
    .command('create')
    .description('register a website; its secret is shown once')
    .requiredOption('--name <name>', 'what people see it called')
    .requiredOption('--redirect-uri <uri...>', 'where sign-ins return to, exactly')
    .option('--public', 'it cannot keep a secret (a native or single-page application)')
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent client create --name Shop --redirect-uri https://shop.example/callback',
    )
    .action(async (options: { name: string; redirectUri: string[]; public?: true }, command) => {
      const { client, client_secret } = await withCore((app) =>
        app.registration.createClient({
          client_name: options.name,
          redirect_uris: options.redirectUri,
          token_endpoint_auth_method: options.public ? 'none' : 'client_secret_basic',
        }),
      )
      print(command, { ...client, client_secret }, (created) =>
        described(created, client_secret && 'Keep the client_secret now: it is not shown again.'),
      )
    })

  client
    .command('list')
    .description('list the registered websites')
    .addHelpText('after', '\nExample:\n  auth-agent client list --json')
    .action(async (_options, command) => {
      const clients = await withCore((app) => app.store.clients.list())
      print(command, clients, () => table(clients.map(row), 'No client is registered.'))
    })

  client
    .command('show <client_id>')
    .description('show one website')
    .addHelpText('after', '\nExample:\n  auth-agent client show client_mZ4k…')
    .action(async (client_id: string, _options, command) => {
      const found = await withCore((app) => app.store.clients.find(client_id))
      if (found === undefined) throw new OAuthError('not_found', `There is no ${client_id}`)
      print(command, found, described)
    })

  client
    .command('update <client_id>')
    .description('change the name or the redirect URIs')
    .option('--name <name>', 'what people see it called')
    .option('--redirect-uri <uri...>', 'all redirect URIs that it has from now on')
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent client update client_mZ4k… --name "Example Shop"',
    )
    .action(
      async (client_id: string, options: { name?: string; redirectUri?: string[] }, command) => {
        const { name, redirectUri } = options
        if (name === undefined && redirectUri === undefined) {
          command.error('error: nothing to change, give --name or --redirect-uri')
        }
        const updated = await withCore((app) =>
          app.registration.updateClient(client_id, {
            ...(name !== undefined && { client_name: name }),
            ...(redirectUri !== undefined && { redirect_uris: redirectUri }),
          }),
        )
        print(command, updated, described)
      },
    )

  client
    .command('rotate-secret <client_id>')
    .description('make a new secret; it is shown once')
    .option('--overlap <seconds>', 'for how long the old one stays good', seconds, 0)
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent client rotate-secret client_mZ4k… --overlap 86400',
    )
    .action(async (client_id: string, options: { overlap: number }, command) => {
      const client_secret = await withCore((app) =>
        app.registration.rotateClientSecret(client_id, options.overlap),
      )
      print(
        command,
        { client_id, client_secret },
        (rotated) => `${facts(rotated)}\n\nKeep the client_secret now: it is not shown again.`,
      )
    })

  client
    .command('disable <client_id>')
    .description('end its sign-ins, codes and tokens and allow no new ones')
    .addHelpText('after', '\nExample:\n  auth-agent client disable client_mZ4k…')
    .action((client_id: string, _options, command) => setDisabled(client_id, true, command))

  client
    .command('enable <client_id>')
    .description('allow sign-ins again')
    .addHelpText('after', '\nExample:\n  auth-agent client enable client_mZ4k…')
    .action((client_id: string, _options, command) => setDisabled(client_id, false, command))

  client
    .command('delete <client_id>')
    .description('remove it and everything that hangs from it')
    .addHelpText('after', '\nExample:\n  auth-agent client delete client_mZ4k…')
    .action(async (client_id: string, _options, command) => {
      const deleted = await withCore((app) => app.store.clients.delete(client_id))
      if (!deleted) throw new OAuthError('not_found', `There is no ${client_id}`)
      print(command, { client_id, deleted }, () => `Deleted ${client_id}.`)
    })
}

async function setDisabled(client_id: string, disabled: boolean, command: Command): Promise<void> {
  const updated = await withCore((app) =>
    app.registration.updateClient(client_id, { disabled_at: disabled ? app.clock.now() : null }),
  )
  print(command, updated, described)
}

/** A whole number of seconds, for an option. */
export function seconds(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new InvalidArgumentError('It must be a whole number of seconds.')
  return Number(text)
}

function row(client: Client): Record<string, unknown> {
  return {
    client_id: client.client_id,
    name: client.client_name,
    kind: client.token_endpoint_auth_method === 'none' ? 'public' : 'confidential',
    state: client.disabled_at === null ? 'enabled' : 'disabled',
    created: time(client.created_at),
    redirect_uris: client.redirect_uris,
  }
}

function described(client: Client & { client_secret?: string }, note?: string): string {
  const text = facts({
    ...client,
    created_at: time(client.created_at),
    disabled_at: client.disabled_at && time(client.disabled_at),
  })
  return note === undefined ? text : `${text}\n\n${note}`
}
