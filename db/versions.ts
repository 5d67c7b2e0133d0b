import about from 'auth-agent/package.json' with { type: 'json' }
import type Database from 'better-sqlite3'
import { migrations } from './migrations/index.ts'

/** The database has tables that this version does not know. Nothing in it was changed. */
export class NewerDatabaseError extends Error {
  override name = 'NewerDatabaseError'
  readonly code = 'DATABASE_NEWER'

  constructor(file: string, migration: string, version: string | undefined) {
    const by = version === undefined ? 'a newer version' : `version ${version}`
    super(
      `The database ${file} was made by ${by} of auth-agent (its migration ${migration} is unknown to this one, ${about.version}). Nothing was changed. Run that version, or go back to a backup that this one made.`,
    )
  }
}

/** @throws {NewerDatabaseError} */
export function assertNotNewer(database: Database.Database): void {
  if (!hasTable(database, 'kysely_migration')) return
  const done = database.prepare('SELECT name FROM kysely_migration ORDER BY name').pluck().all()
  const unknown = done.map(String).findLast((name) => !(name in migrations))
  if (unknown !== undefined) {
    throw new NewerDatabaseError(database.name, unknown, versionOf(database))
  }
}

/** Records which version migrated the tables, so that an older version can name it in its error. */
export function noteVersion(database: Database.Database): void {
  if (versionOf(database) === about.version) return
  database
    .prepare(
      'INSERT INTO versions (number, version) SELECT coalesce(max(number), 0) + 1, ? FROM versions',
    )
    .run(about.version)
}

function versionOf(database: Database.Database): string | undefined {
  if (!hasTable(database, 'versions')) return undefined
  const newest = 'SELECT version FROM versions ORDER BY number DESC LIMIT 1'
  const version = database.prepare(newest).pluck().get()
  return typeof version === 'string' ? version : undefined
}

function hasTable(database: Database.Database, name: string): boolean {
  const table = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?"
  return database.prepare(table).get(name) !== undefined
}
