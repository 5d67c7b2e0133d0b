import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Tables } from './tables.ts'

/** Throws on execution: a query runs when an act yields it to the engine. */
class NoDriver extends DummyDriver {
  override async init(): Promise<never> {
    throw new Error('Queries do not execute themselves: yield what compile() returns, in an act')
  }
}

/** Builds and compiles queries. It has no connection: the engine runs them. */
export const db = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new NoDriver(),
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
    throw new TypeError(`The parameter ${this.name} has no value yet while the statement is built`)
  }
}

/**
 * A query that is compiled once and then only bound. Use it for queries of every sign-in, refresh or
 * introspection, where compiling costs more than SQLite's execution (about 20 against 5 microseconds);
 * everywhere else `compile()` is shorter and does the same. `build` receives placeholders instead of
 * values and must pass them on unchanged.
 */
export function statement<P extends object>() {
  return <R>(build: (parameters: P) => Compilable<R>): ((values: P) => CompiledQuery<R>) => {
    let template: CompiledQuery<R> | undefined
    const placeholders = new Proxy({}, { get: (_, name) => new Parameter(String(name)) }) as P
    return (values) => {
      template ??= build(placeholders).compile()
      const parameters = template.parameters.map((parameter) =>
        parameter instanceof Parameter ? values[parameter.name as keyof P] : parameter,
      )
      return { ...template, parameters }
    }
  }
}

/** The given columns only, for statements whose columns are listed once, as a constant. */
export function pick<Row, const Name extends keyof Row>(
  row: Row,
  names: readonly Name[],
): Pick<Row, Name> {
  return Object.fromEntries(names.map((name) => [name, row[name]])) as Pick<Row, Name>
}

/** The rows of a query. */
export function* all<R>(query: CompiledQuery<R>): Act<R[]> {
  return (yield query) as R[]
}

/** The first row of a query, if it has one. */
export function* one<R>(query: CompiledQuery<R>): Act<R | undefined> {
  return ((yield query) as R[])[0]
}
