import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../plugins/app.ts'
import { readEnvironment } from '../../plugins/core/settings.ts'

/** An error with one sentence for the user of the command. */
export class Refusal extends Error {
  override name = 'Refusal'
}

/** Opens the server's database without serving. Only the server and `db create` create one. */
export async function withCore<T>(
  work: (app: FastifyInstance) => Promise<T>,
  { createDatabase = false } = {},
): Promise<T> {
  const app = await buildApp(
    { ...readEnvironment(), LOG_LEVEL: 'silent' },
    {
      endpoints: [],
      existingDatabase: !createDatabase,
      // Standard output is for what the command prints.
      logStream: { write: () => undefined },
    },
  )
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}

/** Prints a value as JSON with `--json`, and otherwise the result of `text`. */
export function print<T>(command: Command, value: T, text: (value: T) => string): void {
  const { json } = command.optsWithGlobals<{ json?: boolean }>()
  try {
    // console.log() would hide write errors.
    process.stdout.write(`${json ? toJson(value) : text(value)}\n`)
  } catch (error) {
    throw outputLost(error)
  }
}

/** Prints on standard error what the command is about to cause. */
export function warn(command: Command, warning: string): void {
  const { json } = command.optsWithGlobals<{ json?: boolean }>()
  process.stderr.write(`${json ? toJson({ warning }) : plain(warning)}\n`)
}

/**
 * Asks for confirmation at a terminal. Does not ask in scripts and with `--json`.
 * @throws {Refusal} unless the answer is yes
 */
export async function confirm(command: Command, question: string): Promise<void> {
  const { json } = command.optsWithGlobals<{ json?: boolean }>()
  if (json || !process.stdin.isTTY || !process.stderr.isTTY) return
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answered = terminal.question(`${question} [y/N] `)
  // At the end of input there is no answer.
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')))
  const answer = await Promise.race([answered, closed])
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new Refusal('Nothing was changed.')
}

/** The error of a command that was carried out but whose output was lost. */
export function outputLost(cause: unknown): Refusal {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Refusal(
    `The command was carried out, but its output was lost: standard output cannot be written (${reason}).`,
    { cause },
  )
}

/** JSON in which characters that could steer a terminal are escaped. */
export function toJson(value: unknown): string {
  return JSON.stringify(value).replace(steering, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

/** Text that others may have chosen, on one line and without control of the terminal. */
export function plain(text: string): string {
  return text.replace(steering, '?')
}

/** Control and formatting characters, among them the escape sequences and text direction. */
const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Columns of equal width under their names, or `none` when there is no row. */
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

function cell(value: unknown): string {
  return plain(Array.isArray(value) ? value.join(' ') : String(value ?? '-'))
}
