import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import { Type } from '@sinclair/typebox'

type Factory = ReturnType<typeof SerializerSelector>
type Serialize = ReturnType<ReturnType<Factory>>

const ERROR = JSON.stringify(Type.Ref('Error#'))

const compiled = new Map<string, Serialize>()

/**
 * Fastify's serializers, with each schema compiled once in the process: many routes share schemas, and a
 * start would take twice as long otherwise. Error bodies need no serializer, since their only writer
 * already keeps to the schema.
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
