import { recordEvent } from './events.ts'
import { changeOwner, insertOwner, type Owner, ownerByEmail, ownerFromRow } from './owners.ts'
import { type AddPasskeyOutcome, addPasskey, type Passkey } from './passkeys.ts'
import { type Act, db, one } from './statement.ts'
import type { EventRow, OwnerInvitationRow } from './tables.ts'

export type OwnerInvitation = OwnerInvitationRow

export type AcceptOutcome =
  | { outcome: 'accepted'; owner: Owner }
  | { outcome: 'gone' }
  | Exclude<AddPasskeyOutcome, { outcome: 'added' }>

export const reads = {
  /** An invitation that is good at `now`, and whom it is for. */
  *find(
    token_hash: string,
    now: number,
  ): Act<{ invitation: OwnerInvitation; owner: Owner } | undefined> {
    const invitation = yield* one(
      db
        .selectFrom('owner_invitations')
        .selectAll()
        .where('token_hash', '=', token_hash)
        .where('expires_at', '>', now)
        .compile(),
    )
    if (invitation === undefined) return undefined
    const row = yield* one(
      db
        .selectFrom('owners')
        .selectAll()
        .where('owner_id', '=', invitation.owner_id)
        .where('disabled_at', 'is', null)
        .compile(),
    )
    return row && { invitation, owner: ownerFromRow(row) }
  },
}

export const writes = {
  /**
   * Invites a person: an address that nobody has becomes an owner, whoever has it keeps what he has.
   * Only the newest invitation of an owner is good.
   */
  *invite(
    asked: Owner,
    invitation: Omit<OwnerInvitation, 'owner_id'>,
    event: EventRow,
  ): Act<{ owner: Owner; created: boolean }> {
    const created = yield* insertOwner(asked)
    let owner = asked
    if (!created) {
      const found = yield* ownerByEmail(asked.email)
      if (found === undefined) throw new Error('The address is taken and free at once')
      const change = {
        ...(asked.operator && { operator: true }),
        ...(asked.email_verified && { email_verified: true }),
      }
      owner = (yield* changeOwner(found.owner_id, change)) ?? found
    }
    const { owner_id } = owner
    yield db.deleteFrom('owner_invitations').where('owner_id', '=', owner_id).compile()
    yield db
      .insertInto('owner_invitations')
      .values({ ...invitation, owner_id })
      .compile()
    yield* recordEvent({ ...event, owner_id: event.owner_id ?? owner_id })
    return { owner, created }
  },

  /**
   * Uses an invitation up, together with the passkey that it is for. Of callers that race, one
   * succeeds; a passkey that cannot be added leaves it as it was.
   */
  *accept(
    token_hash: string,
    now: number,
    added: { passkey: Passkey; limit: number } | undefined,
    event: EventRow,
  ): Act<AcceptOutcome> {
    const invitation = yield* one(
      db
        .deleteFrom('owner_invitations')
        .where('token_hash', '=', token_hash)
        .where('expires_at', '>', now)
        .where('owner_id', 'in', (eb) =>
          eb.selectFrom('owners').select('owner_id').where('disabled_at', 'is', null),
        )
        .returningAll()
        .compile(),
    )
    if (invitation === undefined) return { outcome: 'gone' }
    const { owner_id } = invitation
    const result: AddPasskeyOutcome =
      added === undefined
        ? { outcome: 'added' }
        : added.passkey.owner_id !== owner_id
          ? { outcome: 'taken' }
          : yield* addPasskey(added.passkey, added.limit)
    if (result.outcome !== 'added') {
      yield db.insertInto('owner_invitations').values(invitation).compile()
      return result
    }
    const change = invitation.verifies_email === 1 ? { email_verified: true } : {}
    const owner = yield* changeOwner(owner_id, change)
    if (owner === undefined) return { outcome: 'gone' }
    yield* recordEvent({ ...event, owner_id: event.owner_id ?? owner_id })
    return { outcome: 'accepted', owner }
  },
}
