import type Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import { migrations } from './migrations/index.ts'
import { PATIENCE } from './queue.ts'
import { asUnavailable, DatabaseUnavailableError } from './unavailable.ts'
import { assertNotNewer, noteVersion } from './versions.ts'

/** How long a start waits while another process migrates, in milliseconds. */
const MIGRATION_PATIENCE = 60_000
const DELAY = 20

/**
 * Brings the tables up to date. Of processes that start together, one migrates and the others wait.
 * A database that is up to date is only read, so that a start does not wait for a lock.
 * @throws {NewerDatabaseError} and {DatabaseUnavailableError}; the database is then unchanged
 */
export async function migrate(database: Database.Database, file: string): Promise<void> {
  if (await retryWhileLocked(file, () => isUpToDate(database))) return
  await retryWhileLocked(file, () => database.exec('BEGIN IMMEDIATE'), MIGRATION_PATIENCE)
  try {
    assertNotNewer(database)
    const migrator = new Migrator({
      db: new Kysely({ dialect: new SqliteDialect({ database }) }),
      provider: { getMigrations: async () => migrations },
      disableTransactions: true,
    })
    const { error, results = [] } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
    if (results.length > 0) noteVersion(database)
    database.exec('COMMIT')
  } catch (error) {
    // After some errors SQLite has already rolled back.
    if (database.inTransaction) database.exec('ROLLBACK')
    throw asUnavailable(error, file)
  }
}

function isUpToDate(database: Database.Database): boolean {
  const names = database
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'kysely_migration'")
    .all()
  if (names.length === 0) return false
  const done = database.prepare('SELECT name FROM kysely_migration ORDER BY name').pluck().all()
  return JSON.stringify(done) === JSON.stringify(Object.keys(migrations).sort())
}

/** Repeats a step, without blocking the event loop, while another process holds the lock. */
export async function retryWhileLocked<T>(
  file: string,
  step: () => T,
  patience = PATIENCE,
): Promise<T> {
  const deadline = performance.now() + patience
  for (;;) {
    try {
      return step()
    } catch (thrown) {
      const error = asUnavailable(thrown, file)
      const isBusy = error instanceof DatabaseUnavailableError && error.reason === 'locked'
      if (!isBusy || performance.now() > deadline) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, DELAY))
  }
}
