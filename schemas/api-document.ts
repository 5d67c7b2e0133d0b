/** The part of an OpenAPI 3.1 document that is read here. */
export interface ApiDocument {
  info: { title: string; version: string; description?: string }
  tags?: { name: string; description: string }[]
  paths: Record<string, Record<string, ApiOperation>>
  components: { schemas: Record<string, ApiSchema> }
}
export interface ApiOperation {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  security?: Record<string, string[]>[]
  parameters?: {
    name: string
    in: string
    required?: boolean
    description?: string
    schema?: ApiSchema
  }[]
  requestBody?: { required?: boolean; content: ApiContent }
  responses: Record<
    string,
    { description: string; headers?: Record<string, unknown>; content?: ApiContent }
  >
}
export type ApiContent = Record<string, { schema?: ApiSchema }>
export interface ApiSchema {
  $ref?: string
  type?: string | string[]
  description?: string
  const?: unknown
  default?: unknown
  enum?: unknown[]
  required?: string[]
  properties?: Record<string, ApiSchema>
  items?: ApiSchema
  oneOf?: ApiSchema[]
  anyOf?: ApiSchema[]
  discriminator?: unknown
}
