import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { buildApp } from '../../../plugins/app.ts'
import type { Settings } from '../../../plugins/core/settings.ts'

async function start(given: Partial<Settings>): Promise<string[]> {
  const app = await buildApp({ LOG_LEVEL: 'silent', ...given })
  const kids = (await app.keys.list()).map(({ kid }) => kid)
  await app.close()
  return kids
}

async function made(t: Test, given: Partial<Settings> = {}) {
  const folder = t.testdir({})
  const settings = { DATABASE_URL: `sqlite:${folder}/auth-agent.db`, ...given }
  return { folder, settings, kids: await start(settings) }
}

t.test('a key file that is missing beside its database is not made anew', async (t) => {
  for (const name of ['auth-agent.db.key', 'elsewhere.key']) {
    const { folder, settings, kids } = await made(
      t,
      name === 'elsewhere.key' ? { ENCRYPTION_KEY_FILE: `${t.testdirName}/elsewhere.key` } : {},
    )
    const file = `${folder}/${name}`
    renameSync(file, `${folder}/away`)
    const files = readdirSync(folder)
    const refusal = await start(settings).catch((error) => error)
    t.equal(refusal.name, 'SettingsError')
    t.ok(refusal.message.includes(file), 'it names the key file')
    t.ok(refusal.message.includes(`${folder}/auth-agent.db`), 'and the database')
    t.match(refusal.message, /Restore the file.*move the database away/)
    t.same(readdirSync(folder), files, 'nothing was made')
    renameSync(`${folder}/away`, file)
    t.same(await start(settings), kids, 'with the key put back it starts')
  }
})

t.test('without a database, or with an empty file, the key is made', async (t) => {
  const { folder, settings, kids } = await made(t)
  for (const name of readdirSync(folder)) rmSync(`${folder}/${name}`)
  writeFileSync(`${folder}/auth-agent.db`, '')
  t.not((await start(settings))[0], kids[0])
  t.ok(existsSync(`${folder}/auth-agent.db.key`))
})

t.test('the error for a wrong key names the setting and the database', async (t) => {
  const { folder, settings } = await made(t)
  const wrong = 'a'.repeat(64)
  writeFileSync(`${folder}/auth-agent.db.key`, wrong)
  await t.rejects(start(settings), { message: `ENCRYPTION_KEY_FILE=${folder}/auth-agent.db.key` })
  const byValue = { ...settings, ENCRYPTION_KEY: wrong }
  await t.rejects(start(byValue), { message: /ENCRYPTION_KEY: is not the key/ })
})
