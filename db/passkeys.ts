import { recordEvent } from './events.ts'
import { changeOwner, type Guard, hasWayIn, type Owner, ownerFromRow } from './owners.ts'
import { type Act, all, db, one } from './statement.ts'
import type { EventRow, PasskeyChallengeRow, PasskeyRow } from './tables.ts'

export type Passkey = PasskeyRow
export type PasskeyChallenge = PasskeyChallengeRow

export type AddPasskeyOutcome =
  | { outcome: 'added' }
  | { outcome: 'too_many' }
  | { outcome: 'taken' }

/** Adds a passkey unless its owner has `limit` of them. A credential identifier belongs to one owner. */
export function* addPasskey(passkey: Passkey, limit: number): Act<AddPasskeyOutcome> {
  const row = yield* one(
    db
      .insertInto('passkeys')
      .values(passkey)
      .onConflict((conflict) => conflict.doNothing())
      .returning('credential_id')
      .compile(),
  )
  if (row === undefined) return { outcome: 'taken' }
  const rows = yield* all(
    db
      .selectFrom('passkeys')
      .select('credential_id')
      .where('owner_id', '=', passkey.owner_id)
      .compile(),
  )
  if (rows.length <= limit) return { outcome: 'added' }
  yield db.deleteFrom('passkeys').where('credential_id', '=', passkey.credential_id).compile()
  return { outcome: 'too_many' }
}

export const reads = {
  /** The passkeys of an owner, the oldest first, by the index on `owner_id`. */
  *listOfOwner(owner_id: string): Act<Passkey[]> {
    return yield* all(
      db
        .selectFrom('passkeys')
        .selectAll()
        .where('owner_id', '=', owner_id)
        .orderBy('created_at')
        .orderBy('credential_id')
        .compile(),
    )
  },

  /** A passkey with its owner, who is not disabled. */
  *find(credential_id: string): Act<{ passkey: Passkey; owner: Owner } | undefined> {
    const passkey = yield* one(
      db.selectFrom('passkeys').selectAll().where('credential_id', '=', credential_id).compile(),
    )
    if (passkey === undefined) return undefined
    const row = yield* one(
      db
        .selectFrom('owners')
        .selectAll()
        .where('owner_id', '=', passkey.owner_id)
        .where('disabled_at', 'is', null)
        .compile(),
    )
    return row && { passkey, owner: ownerFromRow(row) }
  },

  /** How many passkeys are for another host than this one: they are lost since the issuer moved. */
  *countOfOtherHosts(rp_id: string): Act<number> {
    const row = yield* one(
      db
        .selectFrom('passkeys')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('rp_id', '!=', rp_id)
        .compile(),
    )
    return Number(row?.count ?? 0)
  },
}

export const writes = {
  /**
   * Adds a challenge, unless there are `limit` that have not expired: of the same owner, or of nobody
   * where it is for a sign-in. By the indexes on `owner_id` and `expires_at`.
   */
  *addChallenge(challenge: PasskeyChallenge, now: number, limit: number): Act<boolean> {
    const { owner_id } = challenge
    const waiting = db
      .selectFrom('passkey_challenges')
      .where('owner_id', owner_id === null ? 'is' : '=', owner_id)
      .where('expires_at', '>', now)
    const row = yield* one(
      db
        .insertInto('passkey_challenges')
        .columns(['challenge_hash', 'purpose', 'owner_id', 'subject', 'expires_at'])
        .expression(
          db
            .selectNoFrom((eb) => [
              eb.val(challenge.challenge_hash).as('challenge_hash'),
              eb.val(challenge.purpose).as('purpose'),
              eb.val(owner_id).as('owner_id'),
              eb.val(challenge.subject).as('subject'),
              eb.val(challenge.expires_at).as('expires_at'),
            ])
            .where(
              waiting.select((eb) => eb.fn.countAll<number>().as('count')),
              '<',
              limit,
            ),
        )
        .returning('challenge_hash')
        .compile(),
    )
    return row !== undefined
  },

  /** Uses a challenge up. Of callers that race, one receives it. */
  *takeChallenge(challenge_hash: string, now: number): Act<PasskeyChallenge | undefined> {
    const challenge = yield* one(
      db
        .deleteFrom('passkey_challenges')
        .where('challenge_hash', '=', challenge_hash)
        .returningAll()
        .compile(),
    )
    return challenge !== undefined && challenge.expires_at > now ? challenge : undefined
  },

  /** Adds a passkey, with the event that tells of it. */
  *add(passkey: Passkey, limit: number, event: EventRow): Act<AddPasskeyOutcome> {
    const result = yield* addPasskey(passkey, limit)
    if (result.outcome === 'added') yield* recordEvent(event)
    return result
  },

  /**
   * Notes the use of a passkey and its new signature counter. False when the counter has not grown
   * since: the authenticator was copied (WebAuthn Level 3 section 7.2, step 22), or when it is gone.
   */
  *use(credential_id: string, sign_count: number, now: number): Act<boolean> {
    const row = yield* one(
      db
        .updateTable('passkeys')
        .set({ sign_count, last_used_at: now })
        .where('credential_id', '=', credential_id)
        .where('sign_count', sign_count === 0 ? '=' : '<', sign_count)
        .returning('credential_id')
        .compile(),
    )
    return row !== undefined
  },

  /** Gives a passkey of this owner another name. Tells whether there is such a passkey. */
  *rename(owner_id: string, credential_id: string, name: string): Act<boolean> {
    const row = yield* one(
      db
        .updateTable('passkeys')
        .set({ name })
        .where('credential_id', '=', credential_id)
        .where('owner_id', '=', owner_id)
        .returning('credential_id')
        .compile(),
    )
    return row !== undefined
  },

  /**
   * Removes a passkey of this owner, unless it is the last way in. Of two that are removed at once the
   * owner's row, written first, lets one go ahead of the other.
   */
  *remove(
    owner_id: string,
    credential_id: string,
    guard: Guard,
    event: EventRow,
  ): Act<'removed' | 'last_way_in' | 'not_found'> {
    yield* changeOwner(owner_id, {})
    const passkey = yield* one(
      db
        .deleteFrom('passkeys')
        .where('credential_id', '=', credential_id)
        .where('owner_id', '=', owner_id)
        .returningAll()
        .compile(),
    )
    if (passkey === undefined) return 'not_found'
    const isLost = passkey.rp_id !== guard.rp_id
    if (!isLost && !guard.even_if_last && !(yield* hasWayIn(owner_id, guard))) {
      yield db.insertInto('passkeys').values(passkey).compile()
      return 'last_way_in'
    }
    yield* recordEvent({ ...event, owner_id: event.owner_id ?? owner_id })
    return 'removed'
  },
}
