import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../processes.ts'
import { packAgent, run, usePackage } from './package.ts'

/** Installs packages from the registry into a new project, and returns the project's Node. */
async function install(folder: string, ...names: string[]): Promise<string> {
  const manifest = { type: 'module', private: true, allowScripts: { node: true } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  await run('npm', ['install', '--no-audit', '--no-fund', ...names], { cwd: folder })
  return join(folder, 'node_modules/node/bin/node')
}

const { tarball } = await packAgent(makeFolder(t))

for (const version of ['22', '24', '26']) {
  t.test(`the package, installed from its tarball, works on Node ${version}`, async (t) => {
    const folder = makeFolder(t)
    const node = await install(folder, tarball, `node@${version}`)
    const { stdout } = await run(node, ['--version'])
    t.match(stdout, new RegExp(`^v${version}\\.`))
    t.comment(stdout)
    const lock = JSON.parse(readFileSync(join(folder, 'node_modules/.package-lock.json'), 'utf8'))
    t.comment(`installed: ${Object.keys(lock.packages).join(', ')}`)
    await usePackage(t, folder, node)
  })
}

t.test('the tool tells Node 20 which one it needs', async (t) => {
  const folder = makeFolder(t)
  const node = await install(folder, tarball, 'node@20')
  const tool = join(folder, 'node_modules/@auth-agent/agent/dist/auth-agent-mcp.js')
  await t.rejects(run(node, [tool]), { code: 1, stderr: /needs Node 22 or newer.* Node 20\./ })
})
