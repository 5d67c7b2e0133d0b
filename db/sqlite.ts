import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { migrations } from './migrations/index.ts'
import { type Act, db, one } from './statement.ts'
import { assertNotNewer, noteVersion } from './versions.ts'

/** The database cannot take a write now (locked, full, read-only); the same act may work later. */
export class DatabaseUnavailableError extends Error {
  override name = 'DatabaseUnavailableError'
}

/**
 * How many acts run and are answered in one turn of the event loop: some milliseconds of work. More
 * would make everybody else wait for longer than they save by sharing a commit.
 */
const MAX_BATCH = 64

interface Waiting {
  act: Act<unknown>
  resolve: (value: never) => void
  reject: (error: unknown) => void
}

/**
 * Runs acts on SQLite. Those that arrive in one turn of the event loop run together when it ends:
 * reads on one snapshot, for which SQLite locks the file once; writes in one transaction, with a
 * savepoint each, answered after its commit, with one fsync for all of them.
 */
export class SqliteEngine {
  readonly #database: Database.Database
  readonly #statements = new Map<string, Database.Statement>()
  #reads: Waiting[] = []
  #writes: Waiting[] = []
  #commits = 0

  private constructor(database: Database.Database) {
    this.#database = database
  }

  /** Opens the file (or `:memory:`), creating its folder, and brings its tables up to date. */
  static async open(path: string): Promise<SqliteEngine> {
    if (path !== ':memory:') {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      // SQLite would let others read a new file; what it makes beside the file follows the file.
      closeSync(openSync(path, 'a', 0o600))
    }
    const database = new Database(path, { timeout: 5000 })
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.pragma('foreign_keys = ON')
    database.pragma('wal_autocheckpoint = 4000')
    await migrateInTurn(database)
    return new SqliteEngine(database)
  }

  /** Runs an act that only reads. It sees all that was answered before it was asked. */
  read<T>(act: Act<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#reads.length === 0) setImmediate(() => this.#readAll())
      this.#reads.push({ act, resolve, reject })
    })
  }

  /**
   * Runs an act atomically and durably. Of acts that race, in this process or another, each sees
   * all of the ones before it. Throws what the act throws, and then nothing of it has happened.
   */
  write<T>(act: Act<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#writes.length === 0) setImmediate(() => this.#commit())
      this.#writes.push({ act, resolve, reject })
    })
  }

  /** A number that changes whenever another connection, in this process or not, has committed. */
  foreignVersion(): Promise<number> {
    return this.read(foreignVersion())
  }

  /** Changes whenever anybody has committed, this connection included. */
  async version(): Promise<string> {
    return `${await this.foreignVersion()}.${this.#commits}`
  }

  /** Writes a consistent copy to a file that must not exist, while others read and write. */
  backup(path: string): void {
    this.#database.prepare('VACUUM INTO ?').run(path)
  }

  /** Does what waits and closes the file. */
  close(): void {
    while (this.#reads.length > 0) this.#readAll()
    while (this.#writes.length > 0) this.#commit()
    this.#database.close()
  }

  #readAll(): void {
    const batch = this.#reads.splice(0, MAX_BATCH)
    if (this.#reads.length > 0) setImmediate(() => this.#readAll())
    this.#runTogether('BEGIN', batch, (act) => this.#drive(act))
  }

  #commit(): void {
    const batch = this.#writes.splice(0, MAX_BATCH)
    if (this.#writes.length > 0) setImmediate(() => this.#commit())
    this.#runTogether('BEGIN IMMEDIATE', batch, (act) => this.#driveUndoably(act))
    this.#commits += 1
  }

  /** Runs the acts of a batch in one transaction and answers each after its end. */
  #runTogether(begin: string, batch: Waiting[], drive: (act: Act<unknown>) => unknown): void {
    if (batch.length === 0) return
    try {
      this.#prepare(begin).run()
      const answers = batch.map(({ act, resolve, reject }) => {
        try {
          const value = drive(act)
          return () => resolve(value as never)
        } catch (error) {
          // A full disk or an I/O error may already have ended the whole transaction.
          if (!this.#database.inTransaction) throw error
          return () => reject(asUnavailable(error))
        }
      })
      this.#prepare('COMMIT').run()
      for (const answer of answers) answer()
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('ROLLBACK')
      for (const { reject } of batch) reject(asUnavailable(error))
    }
  }

  /** What an act of a shared transaction throws undoes that act alone. */
  #driveUndoably(act: Act<unknown>): unknown {
    this.#prepare('SAVEPOINT act').run()
    try {
      return this.#drive(act)
    } catch (error) {
      if (this.#database.inTransaction) this.#prepare('ROLLBACK TO act').run()
      throw error
    } finally {
      if (this.#database.inTransaction) this.#prepare('RELEASE act').run()
    }
  }

  #drive<T>(act: Act<T>): T {
    let step = act.next()
    while (!step.done) {
      const prepared = this.#prepare(step.value.sql)
      const parameters = step.value.parameters as unknown[]
      if (prepared.reader) step = act.next(prepared.all(parameters))
      else {
        prepared.run(parameters)
        step = act.next([])
      }
    }
    return step.value
  }

  #prepare(sql: string): Database.Statement {
    let prepared = this.#statements.get(sql)
    if (prepared === undefined) {
      prepared = this.#database.prepare(sql)
      this.#statements.set(sql, prepared)
    }
    return prepared
  }
}

const dataVersion = sql<{ data_version: number }>`PRAGMA data_version`.compile(db)

function* foreignVersion(): Act<number> {
  return (yield* one(dataVersion))?.data_version ?? 0
}

const unavailable = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|NOMEM)/

function asUnavailable(error: unknown): unknown {
  if (error instanceof Database.SqliteError && unavailable.test(error.code)) {
    return new DatabaseUnavailableError(error.message, { cause: error })
  }
  return error
}

let migrating: Promise<unknown> = Promise.resolve()

/**
 * Whoever opens a database at the same time migrates it one after the other: processes wait for
 * the write lock, and within a process nobody may, since that would stop the one who holds it.
 */
function migrateInTurn(database: Database.Database): Promise<void> {
  const migration = migrating.then(() => migrate(database))
  migrating = migration.catch(() => undefined)
  return migration
}

async function migrate(database: Database.Database): Promise<void> {
  const kysely = new Kysely({ dialect: new SqliteDialect({ database }) })
  const migrator = new Migrator({
    db: kysely,
    provider: { getMigrations: async () => migrations },
    disableTransactions: true,
  })
  try {
    database.exec('BEGIN IMMEDIATE')
    assertNotNewer(database)
    const { error, results = [] } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
    if (results.length > 0) noteVersion(database)
    database.exec('COMMIT')
  } catch (error) {
    database.close()
    throw error
  }
}
