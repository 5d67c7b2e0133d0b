import type { Command } from 'commander'
import { Noun } from './noun.ts'
import { wholeNumber } from './options.ts'
import { facts, print, time, withCore } from './session.ts'

export function addRegistrationTokenCommands(program: Command): void {
  const noun = new Noun(program, {
    name: 'registration-token',
    description: 'tokens with which others can register clients when DYNAMIC_REGISTRATION is token',
    id: 'token_id',
    kind: 'initial_access_token_id',
    list: (app) => app.store.initialAccessTokens.list(),
    delete: (app, id) => app.store.initialAccessTokens.delete(id),
    toRow: ({ token_id, name, created_at, expires_at }) => ({
      token_id,
      name,
      created: time(created_at),
      expires: time(expires_at),
    }),
    none: 'There is no initial access token.',
  })
  noun
    .add(
      'create',
      'make an initial access token; it is shown once',
      '--name Bob --expires-in 86400',
    )
    .option('--name <name>', 'whom it is for')
    .option(
      '--expires-in <seconds>',
      'how long it is valid; by default until deleted',
      wholeNumber('seconds', 1, 315_360_000),
    )
    .action(async (options: { name?: string; expiresIn?: number }, command) => {
      const created = await withCore((app) =>
        app.registration.createInitialAccessToken(options.name, options.expiresIn),
      )
      print(command, created, (shown) =>
        facts({ ...shown, expires_at: shown.expires_at && time(shown.expires_at) }),
      )
    })
  noun.addList('list the initial access tokens')
  noun.addDelete('end an initial access token; clients that it registered stay')
}
