import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../..')
const script = join(root, 'scripts/auth-agent.js')
const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const needed = Number(engines.node.replace('>=', ''))

/** Every Node on the path that is too old, with its version. */
const oldOnes = (process.env.PATH ?? '').split(delimiter).flatMap((folder) => {
  const { status, stdout } = spawnSync(join(folder, 'node'), ['--version'], { env: {} })
  const version = String(stdout).trim().slice(1)
  return status === 0 && Number.parseInt(version, 10) < needed
    ? [{ node: join(folder, 'node'), version }]
    : []
})

function assertSentence(t: Tap, args: string[], node: string, version: string): void {
  const { status, stdout, stderr } = spawnSync(node, args, { env: {} })
  t.equal(status, 1)
  t.equal(String(stdout), '')
  const [line, ...more] = String(stderr).trimEnd().split('\n')
  t.same(more, [], 'one line')
  t.match(line, `auth-agent needs Node.js ${needed} or newer, and this is Node.js ${version}. `)
  t.match(line, 'https://nodejs.org/')
}

type Tap = Pick<typeof t, 'equal' | 'same' | 'match'>

t.test(
  'a Node.js that is too old is refused with the version that is needed, and how to get it',
  (t) => {
    for (const version of ['10.24.1', '18.20.8', `${needed - 1}.9.0`]) {
      const versions = JSON.stringify({ ...process.versions, node: version })
      const pretend = `data:text/javascript,Object.defineProperty(process,'versions',{value:${versions}})`
      assertSentence(t, ['--import', pretend, script, 'client', 'list'], process.execPath, version)
    }
    t.match(spawnSync(process.execPath, [script, '--version'], { env: {} }), { status: 0 })
    t.end()
  },
)

t.test(
  'an old Node on the path says so itself',
  { skip: oldOnes.length === 0 && 'no old Node is on the path' },
  (t) => {
    for (const { node, version } of oldOnes) assertSentence(t, [script, 'serve'], node, version)
    t.end()
  },
)
