import closeWithGrace from 'close-with-grace'
import type { Command } from 'commander'
import { buildApp } from '../../plugins/app.ts'
import { readEnvironment, Settings } from '../../plugins/core/settings.ts'
import { Refusal } from './session.ts'

/** For how many milliseconds requests that are under way may finish after SIGTERM. */
const GRACE = 10_000

export function addServeCommand(program: Command): void {
  const settings = Object.entries(Settings.properties)
    .map(([name, { description, default: value }]) => {
      const preset = value === undefined ? '' : ` (${value})`
      return `  ${name.padEnd(28)}${description}${preset}`
    })
    .join('\n')

  program
    .command('serve')
    .description('run the server until SIGTERM or SIGINT')
    .addHelpText('after', '\nExample:\n  ISSUER=https://auth.example.com auth-agent serve')
    .addHelpText('after', `\nSettings, from the environment:\n${settings}`)
    .action(async () => {
      const settings = readEnvironment()
      const app = await buildApp(settings)
      const grace = closeWithGrace({ delay: GRACE, logger: false }, async ({ err, signal }) => {
        if (err) app.log.fatal({ err }, 'closing after an error')
        else app.log.info({ signal }, 'closing')
        await app.close()
      })
      const { ISSUER, HOST, PORT } = settings
      try {
        await app.listen({
          host: HOST,
          port: PORT,
          listenTextResolver: (address) => `serving ${ISSUER}, listening on ${address}`,
        })
      } catch (error) {
        grace.uninstall()
        await app.close()
        throw new Refusal(refusedAddress(error, HOST, PORT), { cause: error })
      }
    })
}

function refusedAddress(error: unknown, host: string, port: number): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    return `Port ${port} is in use on ${host}: end what listens there, or set PORT to another.`
  }
  return `Cannot listen on ${host} port ${port}: ${message}.`
}
