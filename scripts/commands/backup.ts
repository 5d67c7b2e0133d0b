import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { print, Refusal, withCore } from './session.ts'

export function addBackupCommand(program: Command): void {
  program
    .command('backup <file>')
    .description('copy the database to a new file, also while the server runs')
    .addHelpText('after', '\nExample:\n  auth-agent backup /backups/auth-agent.db')
    .addHelpText('after', '\nThe encryption key is not in it: keep a copy of that elsewhere.')
    .action(async (given: string, _options, command) => {
      const file = resolve(given)
      if (existsSync(file)) throw new Refusal(`There is a file at ${file} already.`)
      process.umask(0o077)
      await withCore(async (app) => app.store.backup(file))
      print(command, { file }, () => `Copied the database to ${file}.`)
    })
}
