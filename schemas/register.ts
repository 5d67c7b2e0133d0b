import { type Static, Type } from '@sinclair/typebox'
import { ClientMetadata } from './client.ts'

/** RFC 7592 section 2.2: the complete metadata, and the members that must not change. */
export const ClientUpdate = Type.Composite([
  ClientMetadata,
  Type.Object({
    client_id: Type.String(),
    client_secret: Type.Optional(Type.String()),
  }),
])
export type ClientUpdate = Static<typeof ClientUpdate>

/** RFC 7591 section 3.2.1 and RFC 7592 section 3. */
export const ClientInformation = Type.Composite(
  [
    Type.Object({
      client_id: Type.String(),
      client_id_issued_at: Type.Integer({ description: 'Seconds since the epoch' }),
      client_secret: Type.Optional(Type.String({ description: 'Shown once' })),
      client_secret_expires_at: Type.Optional(Type.Integer({ description: '0: never' })),
      registration_access_token: Type.String({ description: 'Changes this registration' }),
      registration_client_uri: Type.String(),
    }),
    ClientMetadata,
  ],
  { description: 'The client as it is registered' },
)
export type ClientInformation = Static<typeof ClientInformation>
