import type { Command } from 'commander'
import type { Owner } from '../../db/store.ts'
import { Noun } from './noun.ts'
import { facts, print, time, withCore } from './session.ts'

interface InviteOptions {
  operator?: true
  verified?: true
  mail?: true
  name?: string
}

export function addOwnerCommands(program: Command): void {
  const noun = new Noun<Owner>(program, {
    name: 'owner',
    description: 'the persons whose agents these are, and who may administer',
    id: 'owner_id',
    kind: 'owner_id',
    list: (app) => app.store.owners.list(),
    delete: async (app, id) => (await app.owners.delete(id)) !== undefined,
    toRow: row,
    none: 'Nobody has an account: invite somebody.',
  })
  addInvite(noun)
  noun.addList('list the owners')
  addShow(noun)
  addVerify(noun)
  addSignOut(noun)
  addDisableAndEnable(noun)
  addDelete(noun)
}

function addInvite(noun: Noun<Owner>): void {
  noun
    .add(
      'invite',
      'print a link that opens an account; it works once, within 24 hours',
      'me@example.com --operator --verified',
    )
    .argument('<email>', 'the address; for one that has an account the link is the way back in')
    .option('--operator', 'who may also administer this server')
    .option('--verified', 'you vouch that the address is theirs: agents that bear it become theirs')
    .option('--mail', 'mail the link instead of printing it; its use verifies the address')
    .option('--name <name>', 'what you call them')
    .action(async (email: string, options: InviteOptions, command) => {
      const { invited, obstacle, passkeys } = await withCore(async (app) => ({
        invited: await app.owners.invite(email, options),
        obstacle: app.owners.obstacle,
        passkeys: app.passkeys.works,
      }))
      const { owner, created, invitation_url, expires_at } = invited
      const { owner_id, operator } = owner
      const warning =
        obstacle ??
        (passkeys
          ? undefined
          : 'ISSUER is an address, which can have no passkeys: owners sign in by mailed codes')
      const result = {
        owner_id,
        email: owner.email,
        operator,
        ...(options.mail ? { mailed: true } : { invitation_url }),
        expires_at,
        ...(warning !== undefined && { warning }),
      }
      print(command, result, () =>
        [
          facts({ ...result, expires_at: time(expires_at) }),
          created
            ? 'Whoever opens the link has the account: give it to that person alone.'
            : 'This address has an account: the link is the way back in to it. Its passkeys and sessions\nstay; "auth-agent owner sign-out" ends the sessions.',
        ].join('\n\n'),
      )
    })
}

function addShow(noun: Noun<Owner>): void {
  noun
    .addOfOne('show', 'show one owner, with passkeys, sessions and agents')
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
        describeOwner(rest, {
          passkeys: passkeys.map(({ name, rp_id }) => `${name} (${rp_id})`).join(', '),
          sessions: sessions.length,
          agents: agents.join(', '),
        }),
      )
    })
}

function addVerify(noun: Noun<Owner>): void {
  noun
    .addOfOne('verify', 'vouch that the address is theirs: agents that bear it become theirs')
    .action(async (owner_id: string, _options, command) => {
      const owner = await withCore((app) => app.owners.vouch(owner_id))
      print(command, owner, (shown) => describeOwner(shown))
    })
}

function addSignOut(noun: Noun<Owner>): void {
  noun
    .addOfOne('sign-out', 'end every session')
    .action(async (owner_id: string, _options, command) => {
      await withCore((app) => app.owners.signOut(owner_id))
      print(command, { owner_id, signed_out: true }, () => `Signed out ${owner_id} everywhere.`)
    })
}

function addDisableAndEnable(noun: Noun<Owner>): void {
  noun
    .addOfOne('disable', 'sign out everywhere and allow no sign-in; agents go on', '--agents')
    .option('--agents', 'disable the agents too, and end their sign-ins')
    .option('--even-if-last', 'also the last operator')
    .action(async (owner_id: string, options: { agents?: true; evenIfLast?: true }, command) => {
      const { agents = false, evenIfLast: even_if_last } = options
      const owner = await withCore((app) => app.owners.disable(owner_id, { agents, even_if_last }))
      print(command, owner, (shown) => describeOwner(shown))
    })
  noun
    .addOfOne('enable', 'allow sign-in again; agents stay as they are')
    .action(async (owner_id: string, _options, command) => {
      const owner = await withCore((app) => app.owners.enable(owner_id))
      print(command, owner, (shown) => describeOwner(shown))
    })
}

function addDelete(noun: Noun<Owner>): void {
  noun
    .addOfOne('delete', 'remove the account; agents stay and belong to nobody')
    .option('--even-if-last', 'also the last operator')
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

function describeOwner(owner: Owner, more: Record<string, unknown> = {}): string {
  return facts({
    ...owner,
    created_at: time(owner.created_at),
    disabled_at: owner.disabled_at && time(owner.disabled_at),
    ...more,
  })
}
