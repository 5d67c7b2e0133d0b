import Database from 'better-sqlite3'

/** Why the database cannot be used at the moment; one word for logs and for the readiness check. */
export type UnavailableReason =
  | 'locked'
  | 'disk full'
  | 'damaged'
  | 'absent'
  | 'replaced'
  | 'read-only'
  | 'failing'

/** The database cannot run an act now. The act was rolled back; it may succeed later. */
export class DatabaseUnavailableError extends Error {
  override name = 'DatabaseUnavailableError'
  readonly reason: UnavailableReason
  /** SQLite's error code, if it has one; the command line prints it beside the message. */
  readonly code: string

  constructor(reason: UnavailableReason, file: string, options: { cause?: unknown } = {}) {
    super(describe(reason, file, options.cause), options)
    this.reason = reason
    this.code = codeOf(options.cause) ?? `DATABASE_${reason.toUpperCase().replace(/\W/g, '_')}`
  }
}

function describe(reason: UnavailableReason, file: string, cause: unknown): string {
  const detail = cause instanceof Error ? ` (${codeOf(cause) ?? cause.name}: ${cause.message})` : ''
  switch (reason) {
    case 'locked':
      return `The database ${file} is locked: another process is writing to it. Nothing was changed; try again`
    case 'disk full':
      return `The disk of the database ${file} is full. Nothing was changed; free some space and try again`
    case 'damaged':
      return `The file ${file} is damaged or is not a SQLite database${detail}. Restore it from a backup`
    case 'absent':
      return `There is no database at ${file}. Start the server first (auth-agent serve), or check DATABASE_URL`
    case 'replaced':
      return `${file}, or a file that belongs to it, was deleted, moved or replaced while it was in use. Put it back, or restart`
    case 'read-only':
      return `The database ${file} cannot be written${detail}. Check the permissions of the file and its folder`
    case 'failing':
      return `The database ${file} cannot be read or written${detail}`
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? error.code : undefined
}

const reasons: [codes: RegExp, reason: UnavailableReason][] = [
  [/^SQLITE_(BUSY|LOCKED|PROTOCOL)/, 'locked'],
  // A full disk under the shared-memory file, or a used-up quota, is reported as an I/O error.
  [/^SQLITE_(FULL|IOERR_WRITE|IOERR_SHMSIZE)/, 'disk full'],
  [/^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ|IOERR_CORRUPTFS)/, 'damaged'],
  [/^SQLITE_READONLY_DBMOVED/, 'replaced'],
  [/^SQLITE_(READONLY|CANTOPEN|PERM|AUTH)/, 'read-only'],
  [/^SQLITE_(IOERR|NOMEM)/, 'failing'],
]

/** The DatabaseUnavailableError for an error of SQLite about the file or the machine. */
export function asUnavailable(error: unknown, file: string): unknown {
  const code = codeOf(error)
  const reason = code && reasons.find(([codes]) => codes.test(code))?.[1]
  return reason ? new DatabaseUnavailableError(reason, file, { cause: error }) : error
}
