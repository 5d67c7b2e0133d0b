import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import { Type } from '@sinclair/typebox'

type Factory = ReturnType<typeof SerializerSelector>
type Serialize = ReturnType<ReturnType<Factory>>

const ERROR = JSON.stringify(Type.Ref('Error#'))

const compiled = new Map<string, Serialize>()

/**
 * Fastify's serializers, each schema compiled once in the process, since many routes share theirs: a
 * start would take twice as long otherwise. Errors have one writer, which keeps to their schema and
 * to the order of its members.
 */
export const buildSerializer: Factory = (externalSchemas, options) => {
  const compile = SerializerSelector()(externalSchemas, options)
  return (route) => {
    const schema = JSON.stringify(route.schema)
    const known = compiled.get(schema)
    if (known !== undefined) return known
    const serialize = schema === ERROR ? JSON.stringify : compile(route)
    compiled.set(schema, serialize)
    return serialize
  }
}
