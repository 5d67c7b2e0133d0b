import about from 'auth-agent/package.json' with { type: 'json' }
import { Command, CommanderError } from 'commander'
import { DatabaseUnavailableError } from '../db/store.ts'
import { OAuthError } from '../plugins/core/http/errors.ts'
import { SettingsError } from '../plugins/core/settings.ts'
import { addAgentCommands } from './commands/agent.ts'
import { addApprovalCommands } from './commands/approval.ts'
import { addBackupCommand } from './commands/backup.ts'
import { addClientCommands } from './commands/client.ts'
import { addDatabaseCommands } from './commands/db.ts'
import { describeFileError, describeUser, isFileError } from './commands/file-errors.ts'
import { addGrantCommands } from './commands/grant.ts'
import { addKeyCommands } from './commands/key.ts'
import { addOwnerCommands } from './commands/owner.ts'
import { addRegistrationTokenCommands } from './commands/registration-token.ts'
import { addResourceCommands } from './commands/resource.ts'
import { addServeCommand } from './commands/serve.ts'
import { outputLost, plain, Refusal, toJson } from './commands/session.ts'

const json = process.argv.includes('--json')

const program = new Command('auth-agent')
  .description('The authorization server that lets AI agents sign in to websites')
  .version(about.version)
  .option('--json', 'print JSON')
  .showHelpAfterError(!json && '(--help tells how to use it)')
  .configureHelp({ showGlobalOptions: true })
  .configureOutput({ outputError: (text) => say('usage', text.replace(/^error: /, '')) })
  .exitOverride()

addServeCommand(program)
addClientCommands(program)
addAgentCommands(program)
addOwnerCommands(program)
addApprovalCommands(program)
addResourceCommands(program)
addRegistrationTokenCommands(program)
addGrantCommands(program)
addKeyCommands(program)
addDatabaseCommands(program)
addBackupCommand(program)

// The standard output of the server is its log, which reports errors itself and does not stop.
let isServing = false
program.hook('preAction', (_program, command) => {
  isServing = command.name() === 'serve'
})
process.stdout.on('error', (error) => {
  if (!isServing) process.exitCode = report(outputLost(error))
})
// If standard error fails, the error cannot be reported anywhere.
process.stderr.on('error', () => undefined)

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/** Prints an error and returns the exit code: 2 for an invalid command line, otherwise 1. */
function report(error: unknown): number {
  // Commander has already printed its error or the help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof OAuthError) say(error.code, error.message)
  else if (error instanceof SettingsError) say('settings', error.message)
  else if (error instanceof Refusal) say('refused', error.message)
  else if (error instanceof DatabaseUnavailableError) {
    const advice = error.reason === 'read-only' ? `. ${describeUser()}` : ''
    say('unavailable', `${error.message}${advice}`)
  } else if (isFileError(error)) say(error.code, describeFileError(error))
  // Errors of the operating system.
  else if (error instanceof Error && 'code' in error) say(String(error.code), error.message)
  else {
    const sentence = (error instanceof Error ? error.message : String(error)).replace(/\.$/, '')
    say(
      'broken',
      `This is a bug in auth-agent: ${sentence}. Set LOG_LEVEL=debug to see where it happened.`,
    )
    if (['debug', 'trace'].includes(process.env.LOG_LEVEL ?? '')) console.error(error)
  }
  return 1
}

function say(error: string, text: string): void {
  const lines = text.trimEnd().split('\n').map(plain).join('\n')
  console.error(json ? toJson({ error, error_description: lines }) : lines)
}
