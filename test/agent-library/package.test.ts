import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../processes.ts'
import { packAgent, root, run, usePackage } from './package.ts'

interface Manifest {
  dependencies?: Record<string, string>
  engines: { node: string }
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

/** Copies the dependencies of a package, and theirs, as the lock file has them. */
function copyDependencies(from: string, to: string): string[] {
  return Object.keys(readManifest(from).dependencies ?? {}).flatMap((name) => {
    const source = join(root, 'node_modules', name)
    cpSync(source, join(to, name), { recursive: true })
    return [name, ...copyDependencies(source, to)]
  })
}

t.test('The package of the agent, in a folder with nothing but its dependencies', async (t) => {
  const folder = makeFolder(t)
  const modules = join(folder, 'node_modules')
  const installed = join(modules, '@auth-agent/agent')
  const { tarball, files } = await packAgent(folder)
  mkdirSync(installed, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
  const copied = copyDependencies(installed, modules)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')

  t.test('is JavaScript with types, a README and the licence', async (t) => {
    t.strictSame(
      files.filter(
        (file) => !/^(README\.md|LICENSE|package\.json|dist\/[\w-]+(\.d)?\.[jt]s)$/.test(file),
      ),
      [],
    )
    t.strictSame(
      files.filter((file) => /(?<!\.d)\.ts$/.test(file)),
      [],
    )
    for (const file of ['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts']) {
      t.ok(files.includes(file), file)
    }
    t.same(Object.keys(readManifest(installed).dependencies ?? {}).sort(), [
      '@modelcontextprotocol/server',
      'jose',
    ])
    t.notOk(copied.includes('fastify'))
  })

  t.test('signs in, and serves MCP, under the Node that runs this test', async (t) => {
    await usePackage(t, folder, process.execPath)
  })

  t.test('has types that a strict program compiles with', async (t) => {
    for (const name of ['@types/node', 'undici-types']) {
      cpSync(join(root, 'node_modules', name), join(modules, name), { recursive: true })
    }
    cpSync(join(import.meta.dirname, 'consumer.ts'), join(folder, 'consumer.ts'))
    const tsc = join(root, 'node_modules/.bin/tsc')
    const options = '--noEmit --strict --module nodenext --target es2022 --types node'
    const { stdout } = await run(tsc, [...options.split(' '), 'consumer.ts'], { cwd: folder })
    t.equal(stdout, '')
  })

  t.test('tells a Node that is too old which one it needs', async (t) => {
    const pretend = `Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } })`
    const args = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`]
    const started = run(process.execPath, [...args, join(installed, 'dist/auth-agent-mcp.js')])
    await t.rejects(started, {
      code: 1,
      stderr: /^auth-agent-mcp needs Node 22 or newer, and was started by Node 20\.20\.2/,
    })
    t.equal(readManifest(installed).engines.node, '>=22')
  })
})
