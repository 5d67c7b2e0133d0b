import { type Command, Option } from 'commander'
import { SIGNING_ALGS } from '../../plugins/core/settings.ts'
import { print, table, time, withCore } from './session.ts'

export function addKeyCommands(program: Command): void {
  const key = program.command('key').description('the keys that sign tokens')

  key
    .command('list')
    .description('list the keys that are in the key set')
    .addHelpText('after', '\nExample:\n  auth-agent key list --json')
    .action(async (_options, command) => {
      const keys = await withCore((app) => app.keys.list())
      print(
        command,
        keys.map(({ public_jwk, ...rest }) => ({ ...rest, public_jwk: JSON.parse(public_jwk) })),
        () =>
          table(
            keys.map(({ kid, alg, created_at, active_from, remove_at }) => ({
              kid,
              alg,
              published: time(created_at),
              signs_from: time(active_from),
              removed: time(remove_at),
            })),
            'There is no key.',
          ),
      )
    })

  key
    .command('rotate')
    .description('publish a new key, which signs once verifiers had time to fetch it')
    .option('--now', 'let it sign at once')
    .addHelpText('after', '\nExample:\n  auth-agent key rotate --now')
    .addOption(
      new Option('--alg <alg>', 'of which algorithm; by default that of access tokens').choices(
        SIGNING_ALGS,
      ),
    )
    .action(async (options: { now?: true; alg?: string }, command) => {
      const { kid, alg, active_from } = await withCore((app) =>
        app.keys.rotate(options.now, options.alg),
      )
      print(command, { kid, alg, active_from }, () => `${kid} signs from ${time(active_from)} on.`)
    })
}
