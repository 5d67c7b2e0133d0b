import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { print, Refusal, withCore } from './session.ts'

export function addBackupCommand(program: Command): void {
  program
    .command('backup <file>')
    .description('copy the database to a new file, also while the server runs')
    .addHelpText('after', '\nExample:\n  auth-agent backup /backups/auth-agent.db')
    .addHelpText(
      'after',
      '\nThe backup does not contain the encryption key: keep a copy of it elsewhere.',
    )
    .action(async (given: string, _options, command) => {
      if (given === '') throw new Refusal('The name of the file is empty.')
      const file = resolve(given)
      if (existsSync(file))
        throw new Refusal(
          `The file ${file} already exists. Nothing was written: name another file.`,
        )
      // SQLite's own error says only that it cannot open the file.
      accessSync(dirname(file), constants.W_OK | constants.X_OK)
      process.umask(0o077)
      await withCore(async (app) => app.store.backup(file))
      print(command, { file }, () => `Copied the database to ${file}.`)
    })
}
