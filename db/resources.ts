import { normalResourceUri, slashTwin } from '../schemas/resource.ts'
import {
  addSecret,
  findLiveSecrets,
  type LiveSecret,
  removeSecrets,
  replaceSecret,
} from './secrets.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { ResourceRow, SecretRow } from './tables.ts'

/** An API or MCP server that accepts our access tokens: a resource of RFC 8707. */
export interface Resource {
  /** The name with which it authenticates at /introspect. */
  resource_id: string
  /** Its value in `aud`, as the operator spelled it. */
  uri: string
  /** The form that requested URIs are compared with. */
  normal_uri: string
  name: string | null
  scopes: string[]
  /** Whether clients that the operator did not register may ask for it. */
  open_to: 'registered' | 'anyone'
  /** The algorithm that signs access tokens for it; null for the server's ACCESS_TOKEN_ALG. */
  access_token_alg: string | null
  created_at: number
}

export type ResourceChange = Partial<
  Pick<Resource, 'name' | 'scopes' | 'open_to' | 'access_token_alg'>
>

const resourceById = statement<{ resource_id: string }>()((p) =>
  db.selectFrom('resources').selectAll().where('resource_id', '=', p.resource_id),
)

const resourceByUri = statement<{ normal_uri: string }>()((p) =>
  db.selectFrom('resources').selectAll().where('normal_uri', '=', p.normal_uri),
)

const everyResource = statement<object>()(() =>
  db.selectFrom('resources').selectAll().orderBy('created_at').orderBy('resource_id'),
)

function fromRow(row: ResourceRow): Resource {
  return { ...row, scopes: JSON.parse(row.scopes) }
}

/** The resources of a grant that are still registered, each once; `resource` is the grant's column. */
export function* findGranted(resource: string | null): Act<Resource[]> {
  const found: Resource[] = []
  if (resource === null) return found
  for (const normal_uri of JSON.parse(resource) as string[]) {
    const row = yield* findByUri(normal_uri)
    const isNew = !found.some(({ resource_id }) => resource_id === row?.resource_id)
    if (row !== undefined && isNew) found.push(fromRow(row))
  }
  return found
}

/**
 * The resource with this URI, or else with the URI that differs by a slash at its end. Older versions
 * stored a normal form with fewer rules.
 */
function* findByUri(normal_uri: string): Act<ResourceRow | undefined> {
  const twin = slashTwin(normal_uri)
  const row =
    (yield* one(resourceByUri({ normal_uri }))) ??
    (twin === undefined ? undefined : yield* one(resourceByUri({ normal_uri: twin })))
  if (row !== undefined) return row
  const others = yield* all(everyResource({}))
  return others.find((other) => normalResourceUri(other.normal_uri) === normal_uri)
}

export const reads = {
  *find(resource_id: string): Act<Resource | undefined> {
    const row = yield* one(resourceById({ resource_id }))
    return row && fromRow(row)
  },

  /** The resource with this URI, or else with the URI that differs by a slash at its end. */
  *findByUri(normal_uri: string): Act<Resource | undefined> {
    const row = yield* findByUri(normal_uri)
    return row && fromRow(row)
  },

  /** The resource, with the secrets that are valid at `now`. */
  *findWithSecrets(
    resource_id: string,
    now: number,
  ): Act<(Resource & { secrets: LiveSecret[] }) | undefined> {
    const row = yield* one(resourceById({ resource_id }))
    return row && { ...fromRow(row), secrets: yield* findLiveSecrets(resource_id, now) }
  },

  *list(): Act<Resource[]> {
    return (yield* all(everyResource({}))).map(fromRow)
  },
}

export const writes = {
  /** Creates a resource. Of concurrent callers with the same URI, one succeeds. */
  *create(resource: Resource, secret: SecretRow): Act<{ outcome: 'created' | 'exists' }> {
    const row = yield* one(
      db
        .insertInto('resources')
        .values({ ...resource, scopes: JSON.stringify(resource.scopes) })
        .onConflict((conflict) => conflict.column('normal_uri').doNothing())
        .returning('resource_id')
        .compile(),
    )
    if (row === undefined) return { outcome: 'exists' }
    yield* addSecret(secret)
    return { outcome: 'created' }
  },

  /** Changes the given members. Grants lose a removed scope when they are next refreshed. */
  *update(resource_id: string, { scopes, ...rest }: ResourceChange): Act<Resource | undefined> {
    const row = yield* one(
      db
        .updateTable('resources')
        .set({ ...rest, ...(scopes && { scopes: JSON.stringify(scopes) }) })
        .where('resource_id', '=', resource_id)
        .returningAll()
        .compile(),
    )
    return row && fromRow(row)
  },

  /** Deletes the resource: no further token is issued for it, and it cannot introspect any. */
  *delete(resource_id: string): Act<boolean> {
    const row = yield* one(
      db
        .deleteFrom('resources')
        .where('resource_id', '=', resource_id)
        .returning('resource_id')
        .compile(),
    )
    yield* removeSecrets(resource_id)
    return row !== undefined
  },

  *replaceSecret(secret: SecretRow, endOld: number): Act<void> {
    yield* replaceSecret(secret, endOld)
  },
}
