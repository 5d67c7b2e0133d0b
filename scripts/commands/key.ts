import { type Command, Option } from 'commander'
import { KEY_SET_MAX_AGE } from '../../plugins/core/crypto/keys.ts'
import { SIGNING_ALGS } from '../../plugins/core/settings.ts'
import { confirm, print, table, time, warn, withCore } from './session.ts'

/** The warning for `--now`: without it, a key is public for longer than this before it signs. */
const GAP = `Verifiers that cache the key set (max-age ${KEY_SET_MAX_AGE}) refuse new tokens for up to ${KEY_SET_MAX_AGE} seconds.`

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
    .description('publish a new key, which signs when verifiers have had time to fetch it')
    .option('--now', `sign with it at once. ${GAP}`)
    .option(
      '--yes',
      'with --now: do not ask for confirmation; without a terminal, none is asked for',
    )
    .addHelpText('after', '\nExample:\n  auth-agent key rotate')
    .addOption(
      new Option('--alg <alg>', 'the algorithm; by default that of access tokens').choices(
        SIGNING_ALGS,
      ),
    )
    .action(async (options: { now?: true; yes?: true; alg?: string }, command) => {
      if (options.now) {
        warn(command, `${GAP} To rotate without a gap use "auth-agent key rotate", without --now.`)
        if (!options.yes) await confirm(command, 'Rotate now?')
      }
      const { kid, alg, active_from } = await withCore((app) =>
        app.keys.rotate(options.now, options.alg),
      )
      print(command, { kid, alg, active_from }, () => `${kid} signs from ${time(active_from)} on.`)
    })
}
