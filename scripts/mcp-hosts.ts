/** What a host registers as, and how it is given its client_id: of unmodified hosts, in November 2026. */
export interface McpHost {
  title: string
  /** How it registers when it is given nothing but the MCP server's URL. */
  byDefault: 'dynamic registration' | 'its metadata document, else dynamic registration'
  /** Where its sign-ins return to; the port of a loopback is free (RFC 8252 section 7.3). */
  redirect_uri: string
  /** What to run, or to put into which file, for it to use a client_id. */
  configure(given: { client_id: string; server: string }): string
}

/** By the name that `client create --mcp-host` takes. */
export const MCP_HOSTS: Record<string, McpHost> = {
  'mcp-remote': {
    title: 'mcp-remote',
    byDefault: 'dynamic registration',
    redirect_uri: 'http://localhost/oauth/callback',
    configure: ({ client_id, server }) =>
      `npx mcp-remote ${server} --static-oauth-client-info '${JSON.stringify({ client_id })}'`,
  },
  inspector: {
    title: 'MCP inspector (command line)',
    byDefault: 'dynamic registration',
    redirect_uri: 'http://127.0.0.1/oauth/callback',
    configure: ({ client_id, server }) =>
      `npx @modelcontextprotocol/inspector --cli ${server} --client-id ${client_id}`,
  },
  codex: {
    title: 'Codex',
    byDefault: 'its metadata document, else dynamic registration',
    redirect_uri: 'http://127.0.0.1/callback',
    configure: ({ client_id, server }) =>
      `codex mcp add my-server --url ${server} --oauth-client-id ${client_id}`,
  },
  'claude-code': {
    title: 'Claude Code',
    byDefault: 'its metadata document, else dynamic registration',
    redirect_uri: 'http://localhost/callback',
    configure: ({ client_id, server }) =>
      `claude mcp add --transport http --client-id ${client_id} my-server ${server}`,
  },
  opencode: {
    title: 'opencode',
    byDefault: 'dynamic registration',
    redirect_uri: 'http://127.0.0.1/mcp/oauth/callback',
    configure: ({ client_id, server }) =>
      `opencode.json: ${JSON.stringify({
        mcp: { 'my-server': { type: 'remote', url: server, oauth: { clientId: client_id } } },
      })}`,
  },
  gemini: {
    title: 'Gemini CLI',
    byDefault: 'dynamic registration',
    redirect_uri: 'http://localhost/oauth/callback',
    configure: ({ client_id, server }) =>
      `settings.json: ${JSON.stringify({
        mcpServers: {
          'my-server': {
            httpUrl: server,
            oauth: {
              enabled: true,
              clientId: client_id,
              redirectUri: 'http://localhost:7777/oauth/callback',
            },
          },
        },
      })}`,
  },
}

/** What a host sends of itself when it registers, which all of them do alike. */
export function registrationOf({ title, redirect_uri }: McpHost) {
  return {
    client_name: title,
    redirect_uris: [redirect_uri],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    application_type: 'native' as const,
  }
}
