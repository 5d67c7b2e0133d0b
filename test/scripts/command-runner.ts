/**
 * Carries out commands one after the other in one process, which has loaded the program once. Each
 * evaluates scripts/command-line.ts anew, with its arguments, environment, outputs and exit code.
 */
export interface Command {
  args: string[]
  environment: Record<string, string>
}

export interface Outcome {
  code: number
  out: string
  err: string
}

const { stdout, stderr } = process
for (const stream of [stdout, stderr]) stream.setMaxListeners(0)
let count = 0

process.on('disconnect', () => process.exit())
process.on('message', async ({ args, environment }: Command) => {
  const outcome: Outcome = { code: 0, out: '', err: '' }
  stdout.write = (text) => keep('out', text)
  stderr.write = (text) => keep('err', text)
  function keep(name: 'out' | 'err', text: Uint8Array | string) {
    outcome[name] += String(text)
    return true
  }
  process.argv = [process.execPath, 'auth-agent', ...args]
  process.env = { ...environment }
  process.exitCode = 0
  count += 1
  await import(`../../scripts/command-line.ts?${count}`)
  outcome.code = Number(process.exitCode)
  process.exitCode = 0
  process.send?.(outcome)
})
