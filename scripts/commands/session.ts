import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../plugins/app.ts'
import { readEnvironment } from '../../plugins/core/settings.ts'

/** Works on the server's database without serving. */
export async function withCore<T>(work: (app: FastifyInstance) => Promise<T>): Promise<T> {
  const app = await buildApp({ ...readEnvironment(), LOG_LEVEL: 'silent' }, { endpoints: [] })
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}

/** Prints a value as JSON when `--json` asks for it, else what `text` makes of it. */
export function print<T>(command: Command, value: T, text: (value: T) => string): void {
  const { json } = command.optsWithGlobals<{ json?: boolean }>()
  console.log(json ? JSON.stringify(value) : text(value))
}

/** Columns of equal width; a value that somebody else chose cannot steer the terminal. */
export function table(rows: Record<string, unknown>[], none: string): string {
  const [first] = rows
  if (first === undefined) return none
  const lines = [Object.keys(first), ...rows.map((row) => Object.values(row).map(cell))]
  const widths = Object.keys(first).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  )
  return lines
    .map((line) =>
      line
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Names and values, one a line. */
export function facts(value: Record<string, unknown>): string {
  const width = Math.max(...Object.keys(value).map((name) => name.length))
  return Object.entries(value)
    .filter(([, each]) => each !== undefined && each !== null)
    .map(([name, each]) => `${name.padEnd(width)}  ${cell(each)}`)
    .join('\n')
}

/** Epoch seconds as a person reads them. */
export function time(seconds: number | null): string {
  return seconds === null ? '-' : `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
}

export function cell(value: unknown): string {
  const text = Array.isArray(value) ? value.join(' ') : String(value ?? '-')
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
}
