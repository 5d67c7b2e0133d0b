import closeWithGrace from 'close-with-grace'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../plugins/app.ts'
import { readEnvironment, Settings } from '../../plugins/core/settings.ts'
import { Refusal } from './session.ts'

/** How long requests may take to finish after SIGTERM, in milliseconds. */
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
      await warnOfLostPasskeys(app)
      if (process.stdout.isTTY) await tellFirstStep(app)
    })
}

/** Passkeys are for one host: after the issuer has moved to another they are lost, which is said once. */
async function warnOfLostPasskeys(app: FastifyInstance): Promise<void> {
  const { rp_id } = app.passkeys
  const lost = await app.store.passkeys.countOfOtherHosts(rp_id ?? '')
  if (lost === 0) return
  app.log.warn(
    { lost, host: rp_id },
    `${lost === 1 ? 'a passkey was' : `${lost} passkeys were`} made for another host than that of ISSUER and no longer ${lost === 1 ? 'works' : 'work'}: give their owners a new way in with "auth-agent owner invite EMAIL", or set ISSUER back`,
  )
}

/** On a database without an operator: how there comes to be one, for whoever sits before the server. */
async function tellFirstStep(app: FastifyInstance): Promise<void> {
  if (await app.store.owners.hasOperator()) return
  const { obstacle } = app.owners
  process.stdout.write(
    `\nNobody administers this server yet. In another terminal, in this folder and with the same settings:\n\n  npm run auth-agent -- owner invite YOU@EXAMPLE.COM --operator --verified\n\n${obstacle === undefined ? '' : `${obstacle}.\n\n`}`,
  )
}

function refusedAddress(error: unknown, host: string, port: number): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    return `Port ${port} is in use on ${host}: stop the program that listens there, or set PORT to another port.`
  }
  return `Cannot listen on ${host} port ${port}: ${message}.`
}
