import { type Act, db, one, statement } from './statement.ts'
import type { RemoteDocumentRow } from './tables.ts'

/** A copy of what somebody published at a URL. */
export type RemoteDocument = RemoteDocumentRow

const documentByUrl = statement<{ url: string }>()((p) =>
  db.selectFrom('remote_documents').selectAll().where('url', '=', p.url),
)

const saveDocument = statement<RemoteDocument>()((p) =>
  db
    .insertInto('remote_documents')
    .values({
      url: p.url,
      body: p.body,
      fetched_at: p.fetched_at,
      fresh_until: p.fresh_until,
      expires_at: p.expires_at,
    })
    .onConflict((conflict) =>
      conflict.column('url').doUpdateSet((eb) => ({
        body: eb.ref('excluded.body'),
        fetched_at: eb.ref('excluded.fetched_at'),
        fresh_until: eb.ref('excluded.fresh_until'),
        expires_at: eb.ref('excluded.expires_at'),
      })),
    ),
)

export const reads = {
  *find(url: string): Act<RemoteDocument | undefined> {
    return yield* one(documentByUrl({ url }))
  },
}

export const writes = {
  *save(document: RemoteDocument): Act<void> {
    yield saveDocument(document)
  },
}
