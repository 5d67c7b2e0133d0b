import type { Command } from 'commander'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import { facts, print, table, time, withCore } from './session.ts'
import { wholeNumber } from './values.ts'

export function addRegistrationTokenCommands(program: Command): void {
  const token = program
    .command('registration-token')
    .description('what allows others to register clients, when DYNAMIC_REGISTRATION is token')

  token
    .command('create')
    .description('make an initial access token; it is shown once')
    .option('--name <name>', 'whom it is for')
    .option(
      '--expires-in <seconds>',
      'for how long it is good; without it, until deleted',
      wholeNumber('seconds', 1, 315_360_000),
    )
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent registration-token create --name Bob --expires-in 86400',
    )
    .action(async (options: { name?: string; expiresIn?: number }, command) => {
      const created = await withCore((app) =>
        app.registration.createInitialAccessToken(options.name, options.expiresIn),
      )
      print(command, created, (shown) =>
        facts({ ...shown, expires_at: shown.expires_at && time(shown.expires_at) }),
      )
    })

  token
    .command('list')
    .description('list the initial access tokens')
    .addHelpText('after', '\nExample:\n  auth-agent registration-token list --json')
    .action(async (_options, command) => {
      const tokens = await withCore((app) => app.store.initialAccessTokens.list())
      const rows = tokens.map(({ token_id, name, created_at, expires_at }) => ({
        token_id,
        name,
        created: time(created_at),
        expires: time(expires_at),
      }))
      print(command, tokens, () => table(rows, 'There is no initial access token.'))
    })

  token
    .command('delete <token_id>')
    .description('end an initial access token; clients that it registered stay')
    .addHelpText('after', '\nExample:\n  auth-agent registration-token delete riat_mZ4k…')
    .action(async (token_id: string, _options, command) => {
      const deleted = await withCore((app) => app.store.initialAccessTokens.delete(token_id))
      if (!deleted) throw new OAuthError('not_found', `There is no ${token_id}`)
      print(command, { token_id, deleted }, () => `Deleted ${token_id}.`)
    })
}
