// In JavaScript, so that a start from compiled code does not load the type stripper.
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Spares every start but the first most of its time and memory. Only this installation's owner can
// write there, unlike the default, which is a folder in the temporary directory.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/auth-agent'))
await import('./command-line.ts')
