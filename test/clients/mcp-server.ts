import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import {
  getOAuthProtectedResourceMetadataUrl,
  mcpAuthMetadataRouter,
} from '@modelcontextprotocol/sdk/server/auth/router.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { OAuthMetadata } from '@modelcontextprotocol/sdk/shared/auth.js'
import express, { type Express } from 'express'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'

export interface ProtectedServer {
  issuer: string
  /** The MCP server's own URL, which is the `aud` of its tokens. */
  resource: string
  scope: string
}

/** An MCP server whose one tool tells who calls it, for tokens of the issuer alone. */
export async function createMcpServer(given: ProtectedServer): Promise<Express> {
  const { issuer, resource, scope } = given
  const discovery = await fetch(`${issuer}/.well-known/oauth-authorization-server`)
  const oauthMetadata = (await discovery.json()) as OAuthMetadata
  const keys = createRemoteJWKSet(new URL(String(oauthMetadata.jwks_uri)))

  async function verify(token: string): Promise<JWTPayload> {
    const checks = { issuer, audience: resource, typ: 'at+jwt' }
    const { payload } = await jwtVerify(token, keys, checks)
    return payload
  }

  const authenticate = requireBearerAuth({
    requiredScopes: [scope],
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(new URL(resource)),
    verifier: {
      async verifyAccessToken(token) {
        const payload = await verify(token).catch((error: Error) => {
          throw new InvalidTokenError(error.message)
        })
        return {
          token,
          clientId: String(payload.client_id),
          scopes: String(payload.scope).split(' '),
          expiresAt: payload.exp,
          extra: { agent: payload.sub, model: payload.model },
        }
      },
    },
  })

  const app = express()
  app.use(
    mcpAuthMetadataRouter({
      oauthMetadata,
      resourceServerUrl: new URL(resource),
      scopesSupported: [scope],
    }),
  )
  app.post(new URL(resource).pathname, authenticate, express.json(), async (request, response) => {
    const server = new McpServer({ name: 'who-am-i', version: '1.0.0' })
    server.registerTool('whoami', {}, async ({ authInfo }) => ({
      content: [{ type: 'text', text: JSON.stringify(authInfo?.extra) }],
    }))
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
    response.on('close', () => void server.close())
    await server.connect(transport)
    await transport.handleRequest(request, response, request.body)
  })
  app.all(new URL(resource).pathname, (_request, response) => void response.sendStatus(405))
  return app
}
