import { stat } from 'node:fs/promises'

interface Identity {
  dev: bigint
  ino: bigint
}

/** The files of the database that this process has open. */
export class OpenedFiles {
  readonly #path: string
  readonly #identities: ReadonlyMap<string, Identity>

  private constructor(path: string, identities: ReadonlyMap<string, Identity>) {
    this.#path = path
    this.#identities = identities
  }

  /**
   * Reads the identity of each file. SQLite keeps all three open; what it writes to a deleted one is
   * lost.
   */
  static async read(path: string): Promise<OpenedFiles> {
    const identities = new Map<string, Identity>()
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      const found = await readIdentity(file)
      if (found !== undefined) identities.set(file, found)
    }
    return new OpenedFiles(path, identities)
  }

  /** Whether each path still leads to the file that was opened. */
  async areInPlace(): Promise<boolean> {
    for (const [file, { dev, ino }] of this.#identities) {
      const found = await readIdentity(file)
      if (found?.dev !== dev || found.ino !== ino) return false
    }
    return true
  }

  /** How many bytes the write-ahead log occupies. */
  async logBytes(): Promise<number> {
    return Number((await readIdentity(`${this.#path}-wal`))?.size ?? 0)
  }
}

async function readIdentity(file: string) {
  try {
    return await stat(file, { bigint: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
