import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Tables } from './tables.ts'

/** Builds queries; it is connected to nothing, the engine runs what it compiles. */
export const db = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
})

/** The steps of an act: yields queries, receives their rows, ends with its outcome. */
export type Act<T> = Generator<CompiledQuery, T, unknown[]>

interface Compilable<R> {
  compile(): CompiledQuery<R>
}

class Parameter {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
  [Symbol.toPrimitive](): never {
    throw new TypeError(`The parameter ${this.name} has no value while the statement is built`)
  }
}

/**
 * A query that is compiled once and then only bound: Kysely's compiler costs more than SQLite's
 * execution. `build` sees stand-ins for the parameters and must pass them on untouched.
 */
export function statement<P extends object>() {
  return <R>(build: (parameters: P) => Compilable<R>): ((values: P) => CompiledQuery<R>) => {
    let template: CompiledQuery<R> | undefined
    const stand = new Proxy({}, { get: (_, name) => new Parameter(String(name)) }) as P
    return (values) => {
      template ??= build(stand).compile()
      const parameters = template.parameters.map((parameter) =>
        parameter instanceof Parameter ? values[parameter.name as keyof P] : parameter,
      )
      return { ...template, parameters }
    }
  }
}

/** The rows of a query. */
export function* all<R>(query: CompiledQuery<R>): Act<R[]> {
  return (yield query) as R[]
}

/** The first row of a query, if it has one. */
export function* one<R>(query: CompiledQuery<R>): Act<R | undefined> {
  return ((yield query) as R[])[0]
}
