import { randomFillSync } from 'node:crypto'
import { rmSync } from 'node:fs'
import { open, rm, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Room for two write-ahead logs of the usual size (1,000 pages of 4 KiB). */
export const RESERVE_BYTES = 8 * 2 ** 20
const CHUNK_BYTES = 2 ** 20

/**
 * A file beside the database that reserves disk space. It is deleted when the disk is full: then the
 * write-ahead log can be moved into the database, which frees the log's own space, and there is room
 * to revoke and to delete.
 */
export class Reserve {
  readonly file: string
  #restoring: Promise<boolean> | undefined

  constructor(database: string) {
    this.file = `${database}-reserve`
  }

  /** Deletes the file, so that its space is free. */
  release(): void {
    rmSync(this.file, { force: true })
  }

  /** How many bytes the disk lacks for the reserve and `more` bytes; 0 when there is room for both. */
  async missingBytes(more: number): Promise<number> {
    const { bavail, bsize } = await statfs(dirname(this.file))
    const held = await sizeOf(this.file)
    return Math.max(0, RESERVE_BYTES - held + more - bavail * bsize)
  }

  /** Writes the file again. Returns whether there was room. */
  restore(): Promise<boolean> {
    this.#restoring ??= this.#fill().finally(() => {
      this.#restoring = undefined
    })
    return this.#restoring
  }

  async #fill(): Promise<boolean> {
    if ((await sizeOf(this.file)) === RESERVE_BYTES) return true
    try {
      const handle = await open(this.file, 'w', 0o600)
      try {
        // Random bytes, since some file systems store zeros without using space.
        const chunk = Buffer.alloc(CHUNK_BYTES)
        for (let written = 0; written < RESERVE_BYTES; written += CHUNK_BYTES) {
          await handle.writeFile(randomFillSync(chunk))
        }
      } finally {
        await handle.close()
      }
      return true
    } catch (error) {
      await rm(this.file, { force: true })
      if (isFull(error)) return false
      throw error
    }
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')
}
