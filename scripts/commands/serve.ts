import closeWithGrace from 'close-with-grace'
import type { Command } from 'commander'
import { buildApp } from '../../plugins/app.ts'
import { readEnvironment, Settings, SettingsError } from '../../plugins/core/settings.ts'

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
    .addHelpText('after', `\nSettings, from the environment:\n${settings}`)
    .action(async () => {
      const settings = readEnvironment()
      const app = await buildApp(settings)
      closeWithGrace({ delay: GRACE, logger: false }, async ({ err, signal }) => {
        if (err) app.log.fatal({ err }, 'closing after an error')
        else app.log.info({ signal }, 'closing')
        await app.close()
      })
      try {
        await app.listen({ host: settings.HOST, port: settings.PORT, listenTextResolver: () => '' })
      } catch (error) {
        await app.close()
        const { code, message } = error as NodeJS.ErrnoException
        if (code !== 'EADDRINUSE') throw error
        throw new SettingsError([
          `PORT=${settings.PORT}: is in use on ${settings.HOST} (${message})`,
        ])
      }
      app.log.info({ issuer: settings.ISSUER, listening: app.listeningOrigin }, 'serving')
    })
}
