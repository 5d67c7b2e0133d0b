import { timingSafeEqual } from 'node:crypto'
import { recordEvent } from './events.ts'
import { insertOwner, type Owner, ownerByEmail, verifyEmail } from './owners.ts'
import { type Act, all, db, one } from './statement.ts'
import type { EventRow, OwnerMailCodeRow } from './tables.ts'

export type OwnerMailCode = OwnerMailCodeRow

/** How many codes there may be, and for how many seconds each counts. */
export interface MailCodeBounds {
  /** Askings for one address. */
  askings: { limit: number; within: number }
  /** Wrong codes for one address. */
  wrong: { limit: number; within: number }
  /** Rows in all, so long as they are kept. */
  inAll: number
}

export type AskCodeOutcome =
  /** `mail`: the caller sends the code; `owner` is who has the address. */
  | { outcome: 'mail'; owner: Owner | undefined }
  /** The address gets no code, which nobody may learn. */
  | { outcome: 'silent' }
  | { outcome: 'too_many'; retry_at: number }
  | { outcome: 'full' }

export type VerifyCodeOutcome =
  | { outcome: 'verified'; owner: Owner; created: boolean }
  | { outcome: 'wrong'; tries_left: number }
  | { outcome: 'none' }

/** Whether a mailed code signs this owner in, or proves the address. */
function takesMail(owner: Owner, purpose: OwnerMailCode['purpose']): boolean {
  if (owner.disabled_at !== null) return false
  return purpose === 'verify' || owner.mail_sign_in
}

export const reads = {}

export const writes = {
  /**
   * Asks for a code. An address that nobody has gets a row like every other, whose code is not mailed;
   * with `open`, it is mailed, and its answer makes an owner. By the index on `email` and `created_at`.
   */
  *ask(
    code: Omit<OwnerMailCode, 'mailed'>,
    { askings, wrong, inAll }: MailCodeBounds,
    open: boolean,
  ): Act<AskCodeOutcome> {
    const { email, created_at: now } = code
    const owner = yield* ownerByEmail(email)
    const mailed = owner === undefined ? open : takesMail(owner, code.purpose)
    const before = yield* all(
      db
        .selectFrom('owner_mail_codes')
        .select(['created_at', 'wrong'])
        .where('email', '=', email)
        .orderBy('created_at')
        .compile(),
    )
    // A time in the future, from a clock that went back, counts too.
    const asked = before.filter(({ created_at }) => created_at > now - askings.within)
    if (asked.length >= askings.limit) {
      const oldest = asked.at(-askings.limit)?.created_at ?? now
      return { outcome: 'too_many', retry_at: Math.min(oldest, now) + askings.within }
    }
    const guessed = before.filter(({ created_at }) => created_at > now - wrong.within)
    const guesses = guessed.reduce((sum, row) => sum + row.wrong, 0)
    if (guesses >= wrong.limit) {
      const oldest = guessed.find((row) => row.wrong > 0)?.created_at ?? now
      return { outcome: 'too_many', retry_at: Math.min(oldest, now) + wrong.within }
    }
    const kept = yield* one(
      db
        .selectFrom('owner_mail_codes')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .compile(),
    )
    if (Number(kept?.count ?? 0) >= inAll) return { outcome: 'full' }
    yield db
      .updateTable('owner_mail_codes')
      .set({ tries_left: 0 })
      .where('browser_hash', '=', code.browser_hash)
      .where('purpose', '=', code.purpose)
      .compile()
    yield db
      .insertInto('owner_mail_codes')
      .values({ ...code, mailed: mailed ? 1 : 0 })
      .compile()
    return mailed ? { outcome: 'mail', owner } : { outcome: 'silent' }
  },

  /**
   * Tries a code: counts it as wrong first. The right one is used up, and proves that its address is
   * the owner's. `created` is the owner to make where nobody has the address yet.
   */
  *verify(
    {
      browser_hash,
      purpose,
      code_hash,
    }: Pick<OwnerMailCode, 'browser_hash' | 'purpose' | 'code_hash'>,
    now: number,
    make: { owner: Omit<Owner, 'email'>; event: EventRow } | undefined,
  ): Act<VerifyCodeOutcome> {
    const code = yield* one(
      db
        .updateTable('owner_mail_codes')
        .set((eb) => ({ tries_left: eb('tries_left', '-', 1), wrong: eb('wrong', '+', 1) }))
        .where('browser_hash', '=', browser_hash)
        .where('purpose', '=', purpose)
        .where('tries_left', '>', 0)
        .where('created_at', '<=', now)
        .where('expires_at', '>', now)
        .returningAll()
        .compile(),
    )
    if (code === undefined) return { outcome: 'none' }
    const right = Buffer.from(code.code_hash)
    const given = Buffer.from(code_hash)
    const isRight = right.length === given.length && timingSafeEqual(right, given)
    if (!isRight || code.mailed === 0) return { outcome: 'wrong', tries_left: code.tries_left }
    yield db
      .updateTable('owner_mail_codes')
      .set((eb) => ({ tries_left: 0, wrong: eb('wrong', '-', 1) }))
      .where('code_id', '=', code.code_id)
      .compile()
    const found = yield* ownerByEmail(code.email)
    if (found !== undefined) {
      if (!takesMail(found, purpose)) return { outcome: 'none' }
      return { outcome: 'verified', owner: yield* verifyEmail(found), created: false }
    }
    if (make === undefined) return { outcome: 'none' }
    const owner = { ...make.owner, email: code.email, email_verified: true }
    if (!(yield* insertOwner(owner))) return { outcome: 'none' }
    yield* recordEvent(make.event)
    return { outcome: 'verified', owner, created: true }
  },
}
