import { repeatBriefly } from './bounded.ts'
import { type Act, all, db, one, pick, statement } from './statement.ts'
import type { RemoteDocumentRow } from './tables.ts'

/** A copy of a document that was fetched from a URL. */
export type RemoteDocument = Omit<RemoteDocumentRow, 'unproved_until'>

/** How many documents are kept for clients without a sign-in. */
export const MOST_UNPROVED = 2000
/** For how many seconds such a document is kept. */
const UNPROVED_KEPT = 3600

/** The columns that a new copy of a document replaces. */
const copied = [
  'body',
  'fetched_at',
  'fresh_until',
  'expires_at',
] as const satisfies (keyof RemoteDocument)[]

const documentByUrl = statement<{ url: string }>()((p) =>
  db
    .selectFrom('remote_documents')
    .select(['url', ...copied])
    .where('url', '=', p.url),
)

const updateDocument = statement<RemoteDocument>()((p) =>
  db.updateTable('remote_documents').set(pick(p, copied)).where('url', '=', p.url).returning('url'),
)

const insertDocument = statement<RemoteDocumentRow>()((p) =>
  db.insertInto('remote_documents').values(pick(p, ['url', ...copied, 'unproved_until'])),
)

const unprovedDocuments = statement<object>()(() =>
  db
    .selectFrom('remote_documents')
    .select((eb) => eb.fn.countAll().as('rows'))
    .where('unproved_until', 'is not', null),
)

/** By the partial index on `unproved_until`. */
const overdueUnproved = statement<{ now: number; limit: number }>()((p) =>
  db
    .selectFrom('remote_documents')
    .select('url')
    .where('unproved_until', '<=', p.now)
    .limit(p.limit),
)

const prove = statement<{ url: string }>()((p) =>
  db.updateTable('remote_documents').set({ unproved_until: null }).where('url', '=', p.url),
)

const remove = statement<{ url: string }>()((p) =>
  db.deleteFrom('remote_documents').where('url', '=', p.url),
)

/** Whose metadata document it is, by the primary key. */
const provedClient = statement<{ url: string }>()((p) =>
  db
    .selectFrom('clients')
    .select('client_id')
    .where('client_id', '=', p.url)
    .where('unproved_until', 'is', null),
)

/** Whose key set it is, by the index on `jwks_uri`. */
const provedKeyOwner = statement<{ url: string }>()((p) =>
  db
    .selectFrom('clients')
    .select('client_id')
    .where('jwks_uri', '=', p.url)
    .where('unproved_until', 'is', null)
    .limit(1),
)

/** Whether the document is of a client that an agent has signed in to or the operator registered. */
function* isProved(url: string): Act<boolean> {
  const client = (yield* one(provedClient({ url }))) ?? (yield* one(provedKeyOwner({ url })))
  return client !== undefined
}

export const reads = {
  *find(url: string): Act<RemoteDocument | undefined> {
    return yield* one(documentByUrl({ url }))
  },
}

export const writes = {
  /** Stores a document, unless there are too many of clients without a sign-in. */
  *save(document: RemoteDocument): Act<void> {
    if ((yield* one(updateDocument(document))) !== undefined) return
    if (yield* isProved(document.url)) {
      yield insertDocument({ ...document, unproved_until: null })
      return
    }
    const kept = Number((yield* one(unprovedDocuments({})))?.rows ?? 0)
    if (kept >= MOST_UNPROVED) return
    yield insertDocument({ ...document, unproved_until: document.fetched_at + UNPROVED_KEPT })
  },

  /**
   * Removes, for some milliseconds, expired documents of clients without a sign-in. Returns whether
   * there may be more.
   */
  *removeUnproved(now: number): Act<boolean> {
    return yield* repeatBriefly(function* (limit) {
      const overdue = yield* all(overdueUnproved({ now, limit }))
      for (const { url } of overdue) yield (yield* isProved(url)) ? prove({ url }) : remove({ url })
      return overdue.length
    })
  },
}
