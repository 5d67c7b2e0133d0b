import fs, { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { build } from '../../harness.ts'
import { makeFolder } from '../../processes.ts'

t.test('the first key file is made where the file system has no hard links', async (t) => {
  const { linkSync } = fs
  t.teardown(() => {
    fs.linkSync = linkSync
    syncBuiltinESMExports()
  })
  for (const code of ['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP', 'EMLINK', 'EACCES']) {
    fs.linkSync = () => {
      throw Object.assign(new Error(`${code}: operation not permitted, link`), { code })
    }
    syncBuiltinESMExports()
    const folder = makeFolder(t)
    const DATABASE_URL = `sqlite:${join(folder, 'data.db')}`
    // Several that start together have the same key, or one could not read what another encrypted.
    const apps = await Promise.all([build(t, { DATABASE_URL }), build(t, { DATABASE_URL })])
    for (const app of apps) {
      t.equal((await app.inject('/.well-known/jwks.json')).statusCode, 200, code)
    }
    const file = join(folder, 'data.db.key')
    t.equal(statSync(file).mode & 0o777, 0o600)
    t.match(readFileSync(file, 'utf8'), /^[\w-]{43}\n$/)
    t.same(
      readdirSync(folder).filter((name) => name.includes('.key.')),
      [],
      'no draft is left',
    )
  }
})

t.test('a key file that exists is never written over, and an empty one is named', async (t) => {
  const folder = makeFolder(t)
  const file = join(folder, 'key')
  writeFileSync(file, '')
  const settings = { DATABASE_URL: `sqlite:${join(folder, 'data.db')}`, ENCRYPTION_KEY_FILE: file }
  await t.rejects(build(t, settings), { message: new RegExp(`${file}: holds no key`) })
  t.equal(readFileSync(file, 'utf8'), '')
})
