import { closeSync, existsSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { sql } from 'kysely'
import { migrate, retryWhileLocked } from './migrate.ts'
import { OpenedFiles } from './opened-files.ts'
import { Queue, type Waiting } from './queue.ts'
import { RESERVE_BYTES, Reserve } from './reserve.ts'
import { type Act, db, one } from './statement.ts'
import { asUnavailable, DatabaseUnavailableError, type UnavailableReason } from './unavailable.ts'

/** How long SQLite waits for a lock, in milliseconds. The event loop is blocked meanwhile. */
const BUSY_TIMEOUT = 5
/** At how many pages the write-ahead log is moved into the database, and to what size it shrinks then. */
const LOG_PAGES = 1000
const LOG_BYTES = LOG_PAGES * 4096
/** How often the files and the disk are checked, in milliseconds. */
const CHECK_EVERY = 1000
/** How long reading the version waits for a lock, in milliseconds; callers fall back to an older copy. */
const VERSION_PATIENCE = 500
/** Unused pages are returned to the disk when they exceed both this share of the file and this number. */
const UNUSED_PART = 0.1
const UNUSED_PAGES = 256
/** The value of `PRAGMA auto_vacuum` in this mode. */
const INCREMENTAL = 2

/** The log in which the engine reports once when a fault of the database begins and once when it ends. */
export interface DatabaseLog {
  error(details: object, message: string): void
  info(details: object, message: string): void
}

export interface OpenOptions {
  /** Fails when there is no database, and does not watch the file: the running server does. */
  existing?: boolean | undefined
  log?: DatabaseLog | undefined
}

export interface WriteOptions {
  /** How long it waits for another process, in milliseconds. */
  patience?: number
  /** The act ends access or frees space, so it also runs while the disk is full. */
  essential?: boolean
}

interface Trouble {
  /** How many acts were refused because of it. */
  refused: number
  logged: boolean
}

/**
 * Runs acts on SQLite. Those that arrive in one turn of the event loop run together when it ends:
 * reads on one snapshot, for which SQLite locks the file once; writes in one transaction, with a
 * savepoint each, answered after its commit, with one fsync for all of them.
 */
export class SqliteEngine {
  readonly #database: Database.Database
  readonly #file: string
  readonly #log: DatabaseLog | undefined
  readonly #reserve: Reserve | undefined
  readonly #statements = new Map<string, Database.Statement>()
  readonly #reads: Queue
  readonly #writes: Queue
  /** The current faults of the database. */
  readonly #troubles = new Map<UnavailableReason, Trouble>()
  #files: OpenedFiles | undefined
  #checking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #checkFailed = false
  #commits = 0

  private constructor(database: Database.Database, file: string, log: DatabaseLog | undefined) {
    this.#database = database
    this.#file = file
    this.#log = log
    this.#reserve = file === ':memory:' ? undefined : new Reserve(file)
    const onRefused = (error: unknown, acts: number) => this.#report(error, acts)
    this.#reads = new Queue(file, (batch) => this.#readTogether(batch), onRefused)
    this.#writes = new Queue(file, (batch) => this.#writeTogether(batch), onRefused)
  }

  /**
   * Opens the file (or `:memory:`), creating it and its folder, and brings its tables up to date.
   * @throws {DatabaseUnavailableError} absent, when it must exist and does not; damaged; busy
   */
  static async open(path: string, options: OpenOptions = {}): Promise<SqliteEngine> {
    const { existing = false, log } = options
    if (existing) assertExists(path)
    else if (path !== ':memory:') createFile(path)
    const database = new Database(path, { timeout: BUSY_TIMEOUT })
    try {
      await setUp(database, path)
    } catch (error) {
      database.close()
      throw error
    }
    const engine = new SqliteEngine(database, path, log)
    if (path !== ':memory:' && !existing) await engine.#watch()
    return engine
  }

  /** Runs an act that only reads. It sees every act that was answered before this call. */
  read<T>(act: () => Act<T>, patience?: number): Promise<T> {
    return this.#reads.add(() => this.#drive(act()), patience)
  }

  /**
   * Runs an act atomically and durably. Acts are serialized, also across processes: each sees all
   * earlier ones. If the act throws, this throws the same error and the act is rolled back.
   * @param act is made anew when its batch is tried again
   */
  write<T>(act: () => Act<T>, options: WriteOptions = {}): Promise<T> {
    return this.#write(() => this.#drive(act()), options)
  }

  /** A number that changes whenever another connection, in this process or not, has committed. */
  foreignVersion(): Promise<number> {
    return this.read(foreignVersion, VERSION_PATIENCE)
  }

  /** Changes with every commit, those of this connection included. */
  async version(): Promise<string> {
    return `${await this.foreignVersion()}.${this.#commits}`
  }

  /** @throws {DatabaseUnavailableError} when it is known that acts would fail or be lost */
  assertUsable(): void {
    for (const reason of ['replaced', 'damaged', 'disk full'] as const) {
      if (this.#troubles.has(reason)) throw new DatabaseUnavailableError(reason, this.#file)
    }
  }

  /**
   * Returns at most `pages` unused pages to the disk, if enough of them are unused.
   * @returns whether there are more to return
   */
  reclaim(pages: number): Promise<boolean> {
    return this.#write(
      () => {
        if (this.#pragma('auto_vacuum') !== INCREMENTAL) return false
        const worth = Math.max(UNUSED_PAGES, this.#pragma('page_count') * UNUSED_PART)
        if (this.#pragma('freelist_count') <= worth) return false
        this.#database.exec(`PRAGMA incremental_vacuum(${Math.floor(pages)})`)
        return this.#pragma('freelist_count') > worth
      },
      { essential: true },
    )
  }

  /**
   * Rewrites the whole file without unused pages, in the mode that `reclaim` needs. All other writers
   * wait until it has ended.
   */
  async vacuum(): Promise<void> {
    this.#database.pragma('auto_vacuum = INCREMENTAL')
    await retryWhileLocked(this.#file, () => this.#database.exec('VACUUM'))
    this.#truncateLog()
  }

  /** Writes a consistent copy to a file that must not exist, while others read and write. */
  backup(path: string): void {
    const existed = existsSync(path)
    try {
      this.#database.prepare('VACUUM INTO ?').run(path)
    } catch (error) {
      if (!existed) rmSync(path, { force: true })
      throw asUnavailable(error, path)
    }
  }

  /** Runs the waiting acts and closes the file. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#reads.run()
    this.#writes.run()
    while (!this.#reads.isEmpty || !this.#writes.isEmpty || this.#checking) {
      await (this.#checking ?? new Promise((resolve) => setTimeout(resolve, 5)))
    }
    this.#database.close()
  }

  #write<T>(run: () => T, { patience, essential = false }: WriteOptions): Promise<T> {
    if (this.#troubles.has('disk full') && !essential) {
      const error = new DatabaseUnavailableError('disk full', this.#file)
      this.#report(error, 1)
      return Promise.reject(error)
    }
    return this.#writes.add(run, patience)
  }

  #readTogether(batch: Waiting[]): void {
    try {
      this.#runTogether('BEGIN', batch, (run) => run())
    } catch (error) {
      throw asUnavailable(error, this.#file)
    }
  }

  #writeTogether(batch: Waiting[]): void {
    if (this.#troubles.has('replaced')) throw new DatabaseUnavailableError('replaced', this.#file)
    try {
      this.#commit(batch)
    } catch (thrown) {
      const error = asUnavailable(thrown, this.#file)
      if (reasonOf(error) !== 'disk full') throw error
      this.#makeRoom()
      this.#commitAgain(batch)
    }
  }

  #commitAgain(batch: Waiting[]): void {
    try {
      this.#commit(batch)
    } catch (error) {
      throw asUnavailable(error, this.#file)
    }
  }

  #commit(batch: Waiting[]): void {
    this.#runTogether('BEGIN IMMEDIATE', batch, (run) => this.#runUndoably(run))
    this.#commits += 1
    for (const reason of ['locked', 'failing', 'read-only'] as const) this.#recover(reason)
  }

  /** Runs the acts of a batch in one transaction and answers each after its end. */
  #runTogether(begin: string, batch: Waiting[], run: (act: Waiting['run']) => unknown): void {
    let answers: (() => void)[]
    try {
      this.#prepare(begin).run()
      answers = batch.map((each) => {
        try {
          const value = run(each.run)
          return () => each.resolve(value as never)
        } catch (thrown) {
          const error = asUnavailable(thrown, this.#file)
          // A full disk or an I/O error may already have ended the whole transaction.
          if (!this.#database.inTransaction || stopsBatch(error)) throw error
          this.#report(error, 1)
          return () => each.reject(error)
        }
      })
      this.#prepare('COMMIT').run()
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
    for (const answer of answers) answer()
  }

  /** Runs one act of a shared transaction. If it throws, only this act is rolled back. */
  #runUndoably(run: () => unknown): unknown {
    this.#prepare('SAVEPOINT act').run()
    try {
      return run()
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

  #pragma(name: string): number {
    return this.#database.pragma(name, { simple: true }) as number
  }

  /** Checks the files and the disk at intervals until the database is closed. */
  async #watch(): Promise<void> {
    this.#files = await OpenedFiles.read(this.#file)
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY)
    this.#timer.unref()
    this.#check()
    await this.#checking
  }

  #check(): void {
    this.#checking ??= Promise.all([this.#checkFiles(), this.#checkDisk()])
      .then(() => {
        this.#checkFailed = false
      })
      .catch((error) => {
        if (!this.#checkFailed) {
          this.#log?.error(
            { database: this.#file, err: error },
            'The free space of the disk cannot be read',
          )
        }
        this.#checkFailed = true
      })
      .finally(() => {
        this.#checking = undefined
      })
  }

  /** Checks that the open files are still at their paths: what is written to a replaced one is lost. */
  async #checkFiles(): Promise<void> {
    if (await this.#files?.areInPlace()) this.#recover('replaced')
    else this.#report(new DatabaseUnavailableError('replaced', this.#file), 0)
  }

  async #checkDisk(): Promise<void> {
    const wasFull = this.#troubles.has('disk full')
    if (wasFull && !this.#truncateLog()) {
      this.#reserve?.release()
      this.#truncateLog()
    }
    const log = (await this.#files?.logBytes()) ?? 0
    // Moving a log that is larger than the reserve into the database needs more space than the reserve.
    const more = wasFull ? LOG_BYTES : Math.max(0, log - RESERVE_BYTES)
    const missing_bytes = (await this.#reserve?.missingBytes(more)) ?? 0
    if (missing_bytes === 0 && (await this.#reserve?.restore()) !== false) {
      this.#recover('disk full')
    } else {
      this.#report(new DatabaseUnavailableError('disk full', this.#file), 0, { missing_bytes })
    }
  }

  /** Frees space on a full disk. Until there is room again, only essential acts run. */
  #makeRoom(): void {
    this.#reserve?.release()
    this.#truncateLog()
    if (this.#files === undefined) return
    // The check measures how much space is missing, if any.
    if (!this.#troubles.has('disk full'))
      this.#troubles.set('disk full', { refused: 0, logged: false })
    this.#check()
  }

  /**
   * Moves the write-ahead log into the database and frees the log's space, as far as the locks of other
   * processes allow. Returns whether the disk had room for that.
   */
  #truncateLog(): boolean {
    try {
      this.#database.pragma('wal_checkpoint(TRUNCATE)')
      return true
    } catch (thrown) {
      const error = asUnavailable(thrown, this.#file)
      if (!(error instanceof DatabaseUnavailableError)) throw error
      return error.reason !== 'disk full'
    }
  }

  /** Logs a fault when it begins; after that, only counts the refused acts. */
  #report(error: unknown, acts: number, details: object = {}): void {
    if (!(error instanceof DatabaseUnavailableError)) return
    const { reason, message } = error
    // Without the periodic check nothing would end the fault.
    if (reason === 'disk full' && this.#files === undefined) return
    const trouble = this.#troubles.get(reason) ?? { refused: 0, logged: false }
    this.#troubles.set(reason, trouble)
    trouble.refused += acts
    // The check of the disk, which follows, logs how much space is missing.
    if (trouble.logged || (reason === 'disk full' && acts > 0)) return
    trouble.logged = true
    this.#log?.error({ database: this.#file, reason, ...details }, message)
  }

  #recover(reason: UnavailableReason): void {
    const trouble = this.#troubles.get(reason)
    if (trouble === undefined) return
    this.#troubles.delete(reason)
    const { refused } = trouble
    this.#log?.info({ database: this.#file, reason, refused }, 'The database can be used again')
  }
}

const dataVersion = sql<{ data_version: number }>`PRAGMA data_version`.compile(db)

function* foreignVersion(): Act<number> {
  return (yield* one(dataVersion))?.data_version ?? 0
}

function reasonOf(error: unknown): UnavailableReason | undefined {
  return error instanceof DatabaseUnavailableError ? error.reason : undefined
}

/** Whether a fault stops the whole batch. A damaged page stops only the acts that read it. */
function stopsBatch(error: unknown): boolean {
  const reason = reasonOf(error)
  return reason !== undefined && reason !== 'damaged'
}

/** @throws {DatabaseUnavailableError} absent */
export function assertExists(path: string): void {
  // A folder that this user may not enter is reported as such, not as an absent database.
  if (path === ':memory:' || statSync(path, { throwIfNoEntry: false }) !== undefined) return
  throw new DatabaseUnavailableError('absent', path)
}

function createFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    // SQLite would create the file readable by others. The files beside it get the same mode as the file.
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    // An existing file is not opened here: closing it would release this process's locks on it (POSIX).
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

async function setUp(database: Database.Database, path: string): Promise<void> {
  try {
    await configure(database, path)
  } catch (error) {
    if (reasonOf(error) !== 'disk full') throw error
    new Reserve(path).release()
    await configure(database, path)
  }
}

async function configure(database: Database.Database, path: string): Promise<void> {
  const isNew = await retryWhileLocked(
    path,
    () => database.pragma('page_count', { simple: true }) === 0,
  )
  for (const pragma of [
    // Has an effect only in an empty file; on any other it would wait for the lock.
    ...(isNew ? ['auto_vacuum = INCREMENTAL'] : []),
    'journal_mode = WAL',
    'synchronous = FULL',
    'foreign_keys = ON',
    `wal_autocheckpoint = ${LOG_PAGES}`,
    `journal_size_limit = ${LOG_BYTES}`,
  ]) {
    await retryWhileLocked(path, () => database.pragma(pragma))
  }
  await migrate(database, path)
}
