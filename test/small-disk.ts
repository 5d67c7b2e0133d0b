import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { makeFolder } from './processes.ts'

export interface SmallDisk {
  folder: string
  free(): number
  /** Takes all but so many bytes. */
  fill(rest: number): void
  /** Gives back what `fill` took. */
  empty(): void
}

const options = { stdio: 'ignore' } as const

function mount(folder: string, bytes: number): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', folder], options)
}

function unmount(folder: string): void {
  execFileSync('umount', ['-l', folder], options)
}

/** Why a test that needs a disk of its own is skipped, or false. */
export function whySkipped(): string | false {
  const folder = mkdtempSync(join(tmpdir(), 'auth-agent-'))
  try {
    mount(folder, 4096)
    unmount(folder)
    return false
  } catch {
    return 'this user may not mount a file system'
  } finally {
    rmdirSync(folder)
  }
}

/** A disk of its own in memory, which goes with the test. */
export function mountSmallDisk(t: Test, bytes: number): SmallDisk {
  const folder = makeFolder(t)
  mount(folder, bytes)
  t.teardown(() => unmount(folder))
  const filler = join(folder, 'filler')
  const free = () => {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  }
  return {
    folder,
    free,
    fill: (rest) => appendFileSync(filler, Buffer.alloc(Math.max(0, free() - rest))),
    empty: () => rmSync(filler, { force: true }),
  }
}
