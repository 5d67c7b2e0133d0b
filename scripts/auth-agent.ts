#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { OAuthError } from '../plugins/core/errors.ts'
import { SettingsError } from '../plugins/core/settings.ts'
import { addAgentCommands } from './commands/agent.ts'
import { addClientCommands } from './commands/client.ts'
import { addGrantCommands } from './commands/grant.ts'
import { addKeyCommands } from './commands/key.ts'
import { addServeCommand } from './commands/serve.ts'

const program = new Command('auth-agent')
  .description('The authorization server that lets AI agents sign in to websites')
  .option('--json', 'print JSON')
  .showHelpAfterError('(--help tells how to use it)')
  .configureHelp({ showGlobalOptions: true })
  .exitOverride()

addServeCommand(program)
addClientCommands(program)
addAgentCommands(program)
addGrantCommands(program)
addKeyCommands(program)

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/** Says what went wrong and gives the exit code: 2 for a wrong command line, 1 for a refusal. */
function report(error: unknown): number {
  // Commander has said it already, or has shown the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const refused =
    error instanceof OAuthError ||
    error instanceof SettingsError ||
    (error instanceof Error && 'code' in error)
  if (!refused) throw error
  if (program.opts().json && error instanceof OAuthError)
    console.log(JSON.stringify(error.toBody()))
  else console.error(error.message)
  return 1
}
