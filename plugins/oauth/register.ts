import { timingSafeEqual } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { BODY_ERRORS, errors, noBody } from '../../schemas/answers.ts'
import { ClientMetadata } from '../../schemas/client.ts'
import { ID_TOKEN_SIGNING_ALGS } from '../../schemas/openid.ts'
import { ClientInformation, ClientUpdate } from '../../schemas/register.ts'
import { bearerTokenOf } from '../core/callers/bearer.ts'
import type { Client } from '../core/core.ts'
import { hashToken, newSecret } from '../core/crypto/secrets.ts'
import { bearerChallenge } from '../core/http/challenges.ts'
import { OAuthError } from '../core/http/errors.ts'
import {
  CLIENT_AUTHENTICATION_METHODS,
  checkStrangersMetadata,
} from '../core/registry/client-metadata.ts'

const BAD_METADATA = 'The metadata is not good: `invalid_redirect_uri`, `invalid_client_metadata`'
const WRONG_TOKEN =
  'The registration access token is wrong, or the client is gone (`invalid_token`)'
const LONG_PATH = 'The client_id is too long (`invalid_request`)'

const ClientPath = Type.Object({ client_id: Type.String() })

/** The words that a registration may have, of which the metadata of other servers' clients has more. */
const words = Type.Object({
  token_endpoint_auth_method: Type.Optional(oneOf(CLIENT_AUTHENTICATION_METHODS)),
  id_token_signed_response_alg: Type.Optional(oneOf(ID_TOKEN_SIGNING_ALGS)),
})
const Registration = Type.Composite([Type.Omit(ClientMetadata, Type.KeyOf(words)), words])
const Update = Type.Composite([Type.Omit(ClientUpdate, Type.KeyOf(words)), words])

function oneOf(values: string[]) {
  return Type.Unsafe<string>({ type: 'string', enum: values })
}

/**
 * POST /register: a client registers itself (RFC 7591), with an initial access token or without, as
 * DYNAMIC_REGISTRATION says; and GET, PUT, DELETE /register/:client_id, with which it looks after its
 * registration (RFC 7592). When it is off, none of this exists.
 */
const register: FastifyPluginAsyncTypebox = async (app) => {
  const { DYNAMIC_REGISTRATION } = app.settings
  if (DYNAMIC_REGISTRATION === 'off') return
  app.metadata.advertise({ registration_endpoint: '/register' })
  /** Whether everybody who registers a client has a token of the operator. */
  const vouched = DYNAMIC_REGISTRATION === 'token'

  app.post(
    '/register',
    {
      schema: {
        operationId: 'registerClient',
        summary: 'Register a client',
        description: 'RFC 7591. An initial access token may be needed.',
        tags: ['Registration'],
        security: [{ accessToken: [] }, {}],
        body: Registration,
        response: {
          201: ClientInformation,
          ...errors(
            {
              ...BODY_ERRORS,
              400: BAD_METADATA,
              401: 'The initial access token is missing, unknown or expired (`invalid_token`)',
              429: 'This network has registered too many clients (`temporarily_unavailable`)',
              503: 'Too many clients are unused, or the server is busy (`temporarily_unavailable`)',
            },
            { challenge: true },
          ),
        },
      },
      attachValidation: true,
      config: { crossOrigin: true },
    },
    async (request, reply) => {
      if (vouched) await assertInitialAccessToken(request)
      assertMetadata(request)
      const metadata = checkStrangersMetadata(request.body)
      if (!vouched) await app.strangers.admitClient(request.ip)
      const registration_access_token = newSecret('rat_')
      const registration_token_hash = hashToken(registration_access_token)
      const { client, client_secret } = await app.registration.createClient(metadata, {
        origin: 'dynamic',
        registration_token_hash,
        vouched,
      })
      request.log.info({ client_id: client.client_id }, 'client registered')
      reply.code(201)
      return {
        ...describe(client, registration_access_token),
        ...(client_secret !== undefined && { client_secret, client_secret_expires_at: 0 }),
      }
    },
  )

  app.get(
    '/register/:client_id',
    {
      schema: {
        operationId: 'readClient',
        summary: 'Read the registration of a client (RFC 7592)',
        tags: ['Registration'],
        security: [{ accessToken: [] }],
        params: ClientPath,
        response: {
          200: ClientInformation,
          ...errors({ 401: WRONG_TOKEN, 414: LONG_PATH }, { challenge: true }),
        },
      },
    },
    async (request) => {
      const { client, token } = await authenticateRegistration(request)
      return describe(client, token)
    },
  )

  app.put(
    '/register/:client_id',
    {
      schema: {
        operationId: 'updateClient',
        summary: 'Change the registration of a client (RFC 7592)',
        tags: ['Registration'],
        security: [{ accessToken: [] }],
        params: ClientPath,
        body: Update,
        response: {
          200: ClientInformation,
          ...errors(
            { ...BODY_ERRORS, 400: BAD_METADATA, 401: WRONG_TOKEN, 414: LONG_PATH },
            { challenge: true },
          ),
        },
      },
      attachValidation: true,
    },
    async (request) => {
      const { client, token } = await authenticateRegistration(request)
      assertMetadata(request)
      const { client_id, client_secret } = request.body
      const { token_endpoint_auth_method = client.token_endpoint_auth_method } = request.body
      if (client_id !== client.client_id) throw invalidMetadata('client_id cannot change')
      if (client_secret !== undefined) await assertCurrent(client_secret, client)
      const metadata = checkStrangersMetadata({ ...request.body, token_endpoint_auth_method })
      if (token_endpoint_auth_method !== client.token_endpoint_auth_method) {
        throw invalidMetadata('token_endpoint_auth_method cannot change, register anew')
      }
      const changed = await app.registration.updateClient(client_id, metadata, 'client')
      return describe(changed, token)
    },
  )

  const removal = {
    schema: {
      operationId: 'deleteClient',
      summary: 'Remove a client (RFC 7592)',
      tags: ['Registration'],
      security: [{ accessToken: [] }],
      params: ClientPath,
      response: {
        204: noBody('The client and its tokens are deleted'),
        ...errors({ ...BODY_ERRORS, 401: WRONG_TOKEN, 414: LONG_PATH }, { challenge: true }),
      },
    },
  }
  app.delete('/register/:client_id', removal, async (request, reply) => {
    const { client } = await authenticateRegistration(request)
    await app.store.clients.delete(client.client_id)
    request.log.info({ client_id: client.client_id }, 'client removed itself')
    return reply.code(204).send()
  })

  /** RFC 7591 section 3. */
  async function assertInitialAccessToken({ headers }: FastifyRequest): Promise<void> {
    const token = bearerTokenOf(headers.authorization)
    if (token === undefined) throw unauthorized('An initial access token is required')
    if (!(await app.store.initialAccessTokens.isLive(hashToken(token), app.clock.now()))) {
      throw unauthorized('The initial access token is unknown or has expired')
    }
  }

  /** RFC 7592 section 2: the client, by its registration access token. */
  async function authenticateRegistration(
    request: FastifyRequest<{ Params: { client_id: string } }>,
  ): Promise<{ client: Client; token: string }> {
    const { client_id } = request.params
    const token = bearerTokenOf(request.headers.authorization) ?? ''
    const hash = (await app.store.clients.findRegistrationTokenHash(client_id)) ?? hashToken('')
    const matches = timingSafeEqual(Buffer.from(hash), Buffer.from(hashToken(token)))
    const client = matches && token !== '' ? await app.store.clients.find(client_id) : undefined
    if (client === undefined || client.disabled_at !== null) {
      throw unauthorized('The registration access token is wrong, or the client is gone')
    }
    return { client, token }
  }

  async function assertCurrent(client_secret: string, { client_id }: Client): Promise<void> {
    const client = await app.store.clients.findWithSecrets(client_id, app.clock.now())
    const resembling = app.secrets.findResembling(client_secret, client?.secrets ?? [])
    if (!(await app.secrets.verify(client_secret, resembling))) {
      throw invalidMetadata('client_secret is not the current one')
    }
  }

  function describe(client: Client, registration_access_token: string): ClientInformation {
    const { application_type, jwks, jwks_uri, backchannel_logout_uri, ...rest } = client
    return {
      ...rest,
      client_id_issued_at: client.created_at,
      response_types: client.grant_types.includes('authorization_code') ? ['code'] : [],
      ...(application_type !== null && { application_type }),
      ...(jwks !== null && { jwks }),
      ...(jwks_uri !== null && { jwks_uri }),
      ...(backchannel_logout_uri !== null && { backchannel_logout_uri }),
      registration_access_token,
      registration_client_uri: app.metadata.url(`/register/${client.client_id}`),
    }
  }
}

export default fp(register, {
  name: 'oauth/register',
  encapsulate: true,
  decorators: {
    fastify: ['clock', 'metadata', 'registration', 'secrets', 'settings', 'store', 'strangers'],
  },
})

/** RFC 7591 section 3.2.2 has its own words for what is wrong with metadata. */
function assertMetadata({ validationError }: FastifyRequest): void {
  const problem = validationError?.validation[0]
  if (problem === undefined) return
  const name = problem.instancePath.slice(1) || 'The metadata'
  const code = name.startsWith('redirect_uris') ? 'invalid_redirect_uri' : 'invalid_client_metadata'
  const { allowedValues } = problem.params
  const message = Array.isArray(allowedValues)
    ? `must be one of ${allowedValues.join(', ')}`
    : problem.message
  throw new OAuthError(code, `${name} ${message}`)
}

function invalidMetadata(description: string): OAuthError {
  return new OAuthError('invalid_client_metadata', description)
}

function unauthorized(description: string): OAuthError {
  return new OAuthError('invalid_token', description, {
    headers: bearerChallenge({ code: 'invalid_token' }),
  })
}
