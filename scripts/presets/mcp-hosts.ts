import type { Given, Preset } from './preset.ts'

/** What a host registers as, and how it is given its client_id: of unmodified hosts, in November 2026. */
export interface McpHost extends Preset {
  /** How it registers when it is given nothing but the MCP server's URL. */
  byDefault: 'dynamic registration' | 'its metadata document, else dynamic registration'
}

/** What all of them send of themselves when they register. */
const registration: Preset['registration'] = {
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  application_type: 'native',
}

function commandLine(lines: (given: Given) => string): Preset['files'] {
  return [{ name: 'command line', language: 'sh', lines }]
}

function json(name: string, members: (given: Given) => unknown): Preset['files'] {
  return [{ name, language: 'json', lines: (given) => JSON.stringify(members(given)) }]
}

/** By the name that `client create --preset` takes; the port of a loopback is free (RFC 8252 section 7.3). */
export const MCP_HOSTS: Record<string, McpHost> = {
  'mcp-remote': {
    title: 'mcp-remote',
    byDefault: 'dynamic registration',
    redirect: 'http://localhost/oauth/callback',
    registration,
    files: commandLine(
      ({ client_id, url }) =>
        `npx mcp-remote ${url} --static-oauth-client-info '${JSON.stringify({ client_id })}'`,
    ),
  },
  inspector: {
    title: 'MCP inspector (command line)',
    byDefault: 'dynamic registration',
    redirect: 'http://127.0.0.1/oauth/callback',
    registration,
    files: commandLine(
      ({ client_id, url }) =>
        `npx @modelcontextprotocol/inspector --cli ${url} --client-id ${client_id}`,
    ),
  },
  codex: {
    title: 'Codex',
    byDefault: 'its metadata document, else dynamic registration',
    redirect: 'http://127.0.0.1/callback',
    registration,
    files: commandLine(
      ({ client_id, url }) => `codex mcp add my-server --url ${url} --oauth-client-id ${client_id}`,
    ),
  },
  'claude-code': {
    title: 'Claude Code',
    byDefault: 'its metadata document, else dynamic registration',
    redirect: 'http://localhost/callback',
    registration,
    files: commandLine(
      ({ client_id, url }) =>
        `claude mcp add --transport http --client-id ${client_id} my-server ${url}`,
    ),
  },
  opencode: {
    title: 'opencode',
    byDefault: 'dynamic registration',
    redirect: 'http://127.0.0.1/mcp/oauth/callback',
    registration,
    files: json('opencode.json', ({ client_id, url }) => ({
      mcp: { 'my-server': { type: 'remote', url, oauth: { clientId: client_id } } },
    })),
  },
  gemini: {
    title: 'Gemini CLI',
    byDefault: 'dynamic registration',
    redirect: 'http://localhost/oauth/callback',
    registration,
    files: json('settings.json', ({ client_id, url }) => ({
      mcpServers: {
        'my-server': {
          httpUrl: url,
          oauth: {
            enabled: true,
            clientId: client_id,
            redirectUri: 'http://localhost:7777/oauth/callback',
          },
        },
      },
    })),
  },
}
