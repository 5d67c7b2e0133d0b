import Database from 'better-sqlite3'
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

interface Row {
  payload: string
  consumed_at: number | null
}

/**
 * An `oidc-provider` adapter on SQLite that is as durable as our own database (WAL,
 * synchronous=FULL): one table, prepared statements, each write committed before it is answered.
 */
export function openSqliteAdapter(path: string): AdapterFactory {
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.pragma('wal_autocheckpoint = 4000')
  database.exec(`
    CREATE TABLE IF NOT EXISTS models (
      model TEXT NOT NULL, id TEXT NOT NULL, payload TEXT NOT NULL, grant_id TEXT, uid TEXT,
      user_code TEXT, expires_at INTEGER, consumed_at INTEGER, PRIMARY KEY (model, id)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS models_grant_id ON models (grant_id) WHERE grant_id IS NOT NULL;
    CREATE INDEX IF NOT EXISTS models_uid ON models (uid) WHERE uid IS NOT NULL;
    CREATE INDEX IF NOT EXISTS models_user_code ON models (user_code) WHERE user_code IS NOT NULL;
  `)
  const live = '(expires_at IS NULL OR expires_at > unixepoch())'
  const upsert = database.prepare(`
    INSERT INTO models (model, id, payload, grant_id, uid, user_code, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, unixepoch() + ?)
    ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload,
      grant_id = excluded.grant_id, uid = excluded.uid, user_code = excluded.user_code,
      expires_at = excluded.expires_at`)
  const find = database.prepare<[string, string], Row>(
    `SELECT payload, consumed_at FROM models WHERE model = ? AND id = ? AND ${live}`,
  )
  const findByUid = database.prepare<[string, string], Row>(
    `SELECT payload, consumed_at FROM models WHERE uid = ? AND model = ? AND ${live}`,
  )
  const findByUserCode = database.prepare<[string, string], Row>(
    `SELECT payload, consumed_at FROM models WHERE user_code = ? AND model = ? AND ${live}`,
  )
  const consume = database.prepare(
    'UPDATE models SET consumed_at = unixepoch() WHERE model = ? AND id = ?',
  )
  const destroy = database.prepare('DELETE FROM models WHERE model = ? AND id = ?')
  const revoke = database.prepare('DELETE FROM models WHERE grant_id = ?')

  return (model): Adapter => ({
    async upsert(id, payload, expiresIn) {
      const { grantId, uid, userCode } = payload
      upsert.run(model, id, JSON.stringify(payload), grantId, uid, userCode, expiresIn)
    },
    find: async (id) => toPayload(find.get(model, id)),
    findByUid: async (uid) => toPayload(findByUid.get(uid, model)),
    findByUserCode: async (code) => toPayload(findByUserCode.get(code, model)),
    consume: async (id) => void consume.run(model, id),
    destroy: async (id) => void destroy.run(model, id),
    revokeByGrantId: async (grantId) => void revoke.run(grantId),
  })
}

function toPayload(row: Row | undefined): AdapterPayload | undefined {
  if (row === undefined) return undefined
  const payload = JSON.parse(row.payload)
  return row.consumed_at === null ? payload : { ...payload, consumed: row.consumed_at }
}
