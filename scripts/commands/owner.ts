import type { Command } from 'commander'
import type { Owner } from '../../db/store.ts'
import { facts, print, table, time, withCore } from './session.ts'

interface InviteOptions {
  operator?: true
  verified?: true
  mail?: true
  name?: string
}

export function addOwnerCommands(program: Command): void {
  const owner = program.command('owner').description('the persons whose agents these are')

  owner
    .command('invite <email>')
    .description('print a link that opens an account; it works once, within 24 hours')
    .option('--operator', 'who may also administer this server')
    .option('--verified', 'you vouch that the address is theirs: agents that bear it become theirs')
    .option('--mail', 'mail the link instead of printing it; its use verifies the address')
    .option('--name <name>', 'what you call them')
    .addHelpText(
      'after',
      '\nFor somebody who has an account it is the way back in, beside what they have.\n\nExample:\n  auth-agent owner invite me@example.com --operator --verified',
    )
    .action(async (email: string, options: InviteOptions, command) => {
      const { invited, obstacle, passkeys } = await withCore(async (app) => ({
        invited: await app.owners.invite(email, options),
        obstacle: app.owners.obstacle,
        passkeys: app.passkeys.works,
      }))
      const { owner, created, invitation_url, expires_at } = invited
      const { owner_id, operator } = owner
      const shown = { owner_id, email: owner.email, operator, invitation_url, expires_at }
      const warning =
        obstacle ??
        (passkeys
          ? undefined
          : 'ISSUER is an address, which can have no passkeys: owners sign in by mailed codes')
      const result = {
        ...shown,
        ...(options.mail && { invitation_url: undefined, mailed: true }),
        ...(warning !== undefined && { warning }),
      }
      print(command, result, () =>
        [
          facts({ ...result, expires_at: time(expires_at) }),
          created
            ? 'Whoever opens the link has the account: give it to that person alone.'
            : 'This address has an account: the link is the way back in to it. Passkeys and sessions\nthat it has stay; "auth-agent owner sign-out" ends the sessions.',
        ].join('\n\n'),
      )
    })

  owner
    .command('list')
    .description('list the owners')
    .addHelpText('after', '\nExample:\n  auth-agent owner list --json')
    .action(async (_options, command) => {
      const owners = await withCore((app) => app.store.owners.list())
      print(command, owners, () =>
        table(owners.map(row), 'Nobody has an account: invite somebody.'),
      )
    })

  owner
    .command('show <owner_id>')
    .description('show one owner, with passkeys, sessions and agents')
    .addHelpText('after', '\nExample:\n  auth-agent owner show owner_mZ4k…')
    .action(async (owner_id: string, _options, command) => {
      const found = await withCore(async (app) => {
        const owner = await app.owners.find(owner_id)
        const now = app.clock.now()
        const [passkeys, sessions, agents] = await Promise.all([
          app.store.passkeys.listOfOwner(owner_id),
          app.store.ownerSessions.listOfOwner(owner_id, now, app.sessions.limits),
          app.store.agents.listOfOwner(owner_id),
        ])
        return {
          ...owner,
          passkeys: passkeys.map(({ name, rp_id, created_at, last_used_at }) => ({
            name,
            rp_id,
            created_at,
            last_used_at,
          })),
          sessions: sessions.map(({ session_id, browser, address, created_at, seen_at }) => ({
            session_id,
            browser,
            address,
            created_at,
            seen_at,
          })),
          agents: agents.map(({ agent_id }) => agent_id),
        }
      })
      print(command, found, ({ passkeys, sessions, agents, ...rest }) =>
        described(rest, {
          passkeys: passkeys.map(({ name, rp_id }) => `${name} (${rp_id})`).join(', '),
          sessions: sessions.length,
          agents: agents.join(', '),
        }),
      )
    })

  owner
    .command('disable <owner_id>')
    .description('sign out everywhere and allow no sign-in; agents go on')
    .option('--agents', 'disable the agents too, and end their sign-ins')
    .option('--even-if-last', 'also the last operator')
    .addHelpText('after', '\nExample:\n  auth-agent owner disable owner_mZ4k… --agents')
    .action(async (owner_id: string, options: { agents?: true; evenIfLast?: true }, command) => {
      const { agents = false, evenIfLast: even_if_last } = options
      const owner = await withCore((app) => app.owners.disable(owner_id, { agents, even_if_last }))
      print(command, owner, (shown) => described(shown))
    })

  owner
    .command('enable <owner_id>')
    .description('allow sign-in again; agents stay as they are')
    .addHelpText('after', '\nExample:\n  auth-agent owner enable owner_mZ4k…')
    .action(async (owner_id: string, _options, command) => {
      const owner = await withCore((app) => app.owners.enable(owner_id))
      print(command, owner, (shown) => described(shown))
    })

  owner
    .command('verify <owner_id>')
    .description('vouch that the address is theirs: the agents that bear it become theirs')
    .addHelpText('after', '\nExample:\n  auth-agent owner verify owner_mZ4k…')
    .action(async (owner_id: string, _options, command) => {
      const owner = await withCore((app) => app.owners.vouch(owner_id))
      print(command, owner, (shown) => described(shown))
    })

  owner
    .command('sign-out <owner_id>')
    .description('end every session')
    .addHelpText('after', '\nExample:\n  auth-agent owner sign-out owner_mZ4k…')
    .action(async (owner_id: string, _options, command) => {
      await withCore((app) => app.owners.signOut(owner_id))
      print(command, { owner_id, signed_out: true }, () => `Signed out ${owner_id} everywhere.`)
    })

  owner
    .command('delete <owner_id>')
    .description('remove the account; agents stay and belong to nobody')
    .option('--even-if-last', 'also the last operator')
    .addHelpText('after', '\nExample:\n  auth-agent owner delete owner_mZ4k…')
    .action(async (owner_id: string, options: { evenIfLast?: true }, command) => {
      await withCore((app) => app.owners.delete(owner_id, { even_if_last: options.evenIfLast }))
      print(command, { owner_id, deleted: true }, () => `Deleted ${owner_id}.`)
    })
}

function row(owner: Owner): Record<string, unknown> {
  return {
    owner_id: owner.owner_id,
    email: owner.email,
    verified: owner.email_verified ? 'yes' : 'no',
    operator: owner.operator ? 'yes' : 'no',
    state: owner.disabled_at === null ? 'enabled' : 'disabled',
    created: time(owner.created_at),
  }
}

function described(owner: Owner, more: Record<string, unknown> = {}): string {
  return facts({
    ...owner,
    created_at: time(owner.created_at),
    disabled_at: owner.disabled_at && time(owner.disabled_at),
    ...more,
  })
}
