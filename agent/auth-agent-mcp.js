#!/usr/bin/env node
// In JavaScript that old versions of Node can read too, so that they give this sentence instead of a
// SyntaxError.
var needed = 22
if (parseInt(process.versions.node, 10) < needed) {
  process.stderr.write(
    'auth-agent-mcp needs Node ' +
      needed +
      ' or newer, and was started by Node ' +
      process.versions.node +
      ' (' +
      process.execPath +
      '). Name a newer Node in the configuration of the MCP host, for example as its "command".\n',
  )
  process.exitCode = 1
} else {
  import('./mcp.ts')
}
