import { html } from 'ghtml'

/**
 * The secret of an agent, on the only page that ever has it, and the lines to paste for the library and
 * the MCP tool.
 */
export function secretShown(issuer: string, agent_id: string, agent_secret: string): string {
  return html`<p class="caution">Keep the secret now: it is not shown again, and nobody can look it up.</p>
<h2>Its secret</h2>
<p><code class="secret">${agent_secret}</code></p>
!${linesToPaste(issuer, agent_id, { AUTH_AGENT_SECRET: agent_secret })}`
}

/** What an agent is set up with. */
export function linesToPaste(
  issuer: string,
  agent_id: string,
  credentials: Record<string, string>,
): string {
  const env = { AUTH_AGENT_ISSUER: issuer, AUTH_AGENT_ID: agent_id, ...credentials }
  const host = { mcpServers: { 'auth-agent': { command: 'auth-agent-mcp', env } } }
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  return html`<h2>For the library</h2>
<p>The environment of the agent:</p>
<pre class="secret" tabindex="0" role="group" aria-label="Environment">${lines.join('\n')}</pre>
<h2>For a language model, with the MCP tool</h2>
<p>The configuration of the host, such as Claude Code or VS Code:</p>
<pre class="secret" tabindex="0" role="group" aria-label="Configuration">${JSON.stringify(host, null, 2)}</pre>`
}
