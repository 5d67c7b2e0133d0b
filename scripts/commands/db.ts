import type { Command } from 'commander'
import { readEnvironment } from '../../plugins/core/settings.ts'
import { print, withCore } from './session.ts'

export function addDatabaseCommands(program: Command): void {
  const database = program.command('db').description('the database itself')

  database
    .command('create')
    .description('create the database, or bring one up to date, as the server does when it starts')
    .addHelpText('after', '\nExample:\n  auth-agent db create')
    .action(async (_options, command) => {
      await withCore(async () => undefined, { createDatabase: true })
      const { DATABASE_URL } = readEnvironment()
      print(command, { DATABASE_URL }, () => `The database ${DATABASE_URL} is ready.`)
    })

  database
    .command('vacuum')
    .description('rewrite the database without unused pages; all other writes wait')
    .addHelpText('after', '\nExample:\n  auth-agent db vacuum')
    .addHelpText(
      'after',
      '\nNeeds free space of twice the size of the data. Best run while the server is stopped: its writes\nwait up to five seconds and then fail.',
    )
    .action(async (_options, command) => {
      await withCore((app) => app.store.vacuum())
      const { DATABASE_URL } = readEnvironment()
      print(command, { DATABASE_URL }, () => `The database ${DATABASE_URL} was rewritten.`)
    })
}
