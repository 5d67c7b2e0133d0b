import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { assertSentence, type Environment, ending } from './command.ts'

t.test('a file that the user may not use is named, with the user and what to do', async (t) => {
  if (process.getuid?.() !== 0) return t.pass('only root can act as another user')
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'auth-agent-user-')))
  t.teardown(() => rmSync(folder, { recursive: true }))
  chmodSync(folder, 0o755)
  for (const name of ['mine', 'foreign']) mkdirSync(join(folder, name), { mode: 0o755 })
  chownSync(join(folder, 'mine'), 1000, 1000)
  const at = (name: string) => ({ DATABASE_URL: `sqlite:${join(folder, name)}` })
  const asUser = async (environment: Environment, ...args: string[]) => {
    const script = join(import.meta.dirname, '../../scripts/auth-agent.js')
    // Without the test runner's loaders, which write to a folder that is not the user's.
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, script, ...args], {
      env: { NODE_DISABLE_COMPILE_CACHE: '1', ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
      uid: 1000,
      gid: 1000,
    })
    return ending(child)
  }
  t.match(await asUser(at('mine/a.db'), 'db', 'create'), { code: 0 })
  const rows: [Environment, string[], string][] = [
    [at('foreign/a.db'), ['serve'], 'foreign/a.db'],
    [at('foreign/below/a.db'), ['db', 'create'], 'foreign/below'],
    [{ ...at('mine/c.db'), ENCRYPTION_KEY_FILE: `${folder}/foreign/k` }, ['serve'], 'foreign/k'],
    [at('mine/a.db'), ['backup', join(folder, 'foreign/b.db')], 'foreign'],
  ]
  const assertNamed = (refused: { code: number; err: string }, name: string) => {
    assertSentence(t, refused, name)
    t.match(refused, { code: 1, err: join(folder, name) }, name)
    t.match(refused.err, /runs as user 1000:1000: .*chown 1000:1000/, name)
  }
  for (const [environment, args, name] of rows) {
    assertNamed(await asUser(environment, ...args), name)
  }
  const nowhere = await asUser(at('mine/a.db'), 'backup', join(folder, 'none/b.db'))
  t.match(nowhere, { code: 1, err: `${join(folder, 'none')} does not exist` })
  t.match(await asUser(at('mine/a.db'), 'backup', join(folder, 'mine/b.db')), { code: 0 })
  for (const name of ['mine', 'mine/a.db', 'mine/a.db.key']) {
    chownSync(join(folder, name), 0, 0)
    chmodSync(join(folder, name), name === 'mine' ? 0o755 : 0o644)
  }
  assertNamed(await asUser(at('mine/a.db'), 'agent', 'list'), 'mine/a.db')
  chmodSync(join(folder, 'mine'), 0o700)
  assertNamed(await asUser(at('mine/a.db'), 'agent', 'list'), 'mine/a.db')
})
