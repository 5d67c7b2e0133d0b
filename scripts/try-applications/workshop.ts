import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findFreePort } from '../demo/free-port.ts'
import type { Given } from '../presets/preset.ts'

/** The folder of installed products, kept between runs; `npm ci` removes it. */
export const cache = join(import.meta.dirname, '../../node_modules/.cache/applications')

/** The tools of a trial: a folder of its own, the lines of its preset, and installers. */
export class Workshop {
  readonly folder: string
  /** The URL at which the application must listen: `http://localhost:PORT`. */
  readonly url: string
  readonly port: number
  readonly issuer: string
  /** The lines for the first file that `client create --preset` prints. */
  readonly lines: string
  /** The lines for each file. */
  readonly files: string[]
  readonly given: Given
  /** The certificate of an https issuer, in PEM. */
  certificate = ''
  readonly #children: ChildProcess[] = []
  readonly #closings: (() => unknown)[] = []

  constructor(given: {
    name: string
    port: number
    issuer: string
    given: Given
    lines: string[]
  }) {
    this.folder = join(cache, 'work', given.name)
    this.port = given.port
    this.url = `http://localhost:${given.port}`
    this.issuer = given.issuer
    this.files = given.lines
    this.lines = given.lines[0] ?? ''
    this.given = given.given
  }

  async write(file: string, text: string): Promise<string> {
    const path = join(this.folder, file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
    return path
  }

  /** A virtual environment with these packages: the path of its Python. */
  async python(...packages: string[]): Promise<string> {
    const key = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 8)
    const folder = join(cache, `python-${packages[0]?.replace(/\W+/g, '-')}-${key}`)
    const python = join(folder, 'bin/python')
    if (!existsSync(join(folder, 'installed'))) {
      await this.run('python3', ['-m', 'venv', folder])
      await this.run(python, ['-m', 'pip', 'install', '-q', ...packages])
      await writeFile(join(folder, 'installed'), packages.join('\n'))
    }
    return python
  }

  /** The folder of an npm package. */
  async npm(packageAtVersion: string): Promise<string> {
    const name = packageAtVersion.replace(/@[^@]*$/, '')
    const folder = join(cache, 'npm', packageAtVersion.replace(/\W+/g, '-'))
    const path = join(folder, 'node_modules', name)
    if (!existsSync(path)) {
      await mkdir(folder, { recursive: true })
      await this.run('npm', ['install', '--prefix', folder, '--ignore-scripts', packageAtVersion])
    }
    return path
  }

  /** A second port for the application. */
  findFreePort = findFreePort

  /** Installs a Go package and returns the path of its program. */
  async go(program: string, packageAtVersion: string): Promise<string> {
    const folder = join(cache, 'go')
    const path = join(folder, program)
    if (!existsSync(path)) {
      await this.run('go', ['install', packageAtVersion], {
        env: { ...process.env, GOBIN: folder, CGO_ENABLED: '0' },
      })
    }
    return path
  }

  /** Builds Go sources with these modules and versions, and returns the path of the program. */
  async goProgram(name: string, modules: string[], source: string): Promise<string> {
    const key = createHash('sha256').update(modules.join()).digest('hex').slice(0, 8)
    const folder = join(cache, 'go-programs', `${name}-${key}`)
    const program = join(folder, 'program')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'main.go'), source)
    if (!existsSync(join(folder, 'go.sum'))) {
      await rm(join(folder, 'go.mod'), { force: true })
      await this.run('go', ['mod', 'init', `example/${name}`], { cwd: folder })
      await this.run('go', ['get', ...modules], { cwd: folder })
      await this.run('go', ['mod', 'tidy'], { cwd: folder })
    }
    await this.run('go', ['build', '-o', program, '.'], { cwd: folder })
    return program
  }

  /** Builds a Rust source with these dependencies, and returns the path of the program. */
  async rustProgram(name: string, dependencies: string, source: string): Promise<string> {
    const folder = join(cache, 'rust-programs', name)
    await mkdir(join(folder, 'src'), { recursive: true })
    const about = `[package]\nname = "program"\nversion = "1.0.0"\nedition = "2024"\n`
    await writeFile(join(folder, 'Cargo.toml'), `${about}\n[dependencies]\n${dependencies}`)
    await writeFile(join(folder, 'src/main.rs'), source)
    await this.run('cargo', ['build', '--quiet'], { cwd: folder })
    return join(folder, 'target/debug/program')
  }

  /** Builds a Maven project when one of its files has changed, and returns the path of the jar. */
  async maven(name: string, files: Record<string, string>): Promise<string> {
    const folder = join(cache, 'maven', name)
    const jar = join(folder, 'target/application.jar')
    const built = join(folder, 'built-from.json')
    const key = JSON.stringify(files)
    if (existsSync(built) && (await readFile(built, 'utf8')) === key) return jar
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), text)
    }
    await this.run('mvn', ['-q', '-B', '-DskipTests', 'package'], { cwd: folder })
    await writeFile(built, key)
    return jar
  }

  /** The path of a jar of Maven Central, `GROUP:ARTIFACT`. */
  async mavenArtifact(name: string, version: string): Promise<string> {
    const folder = join(cache, 'jars')
    const jar = join(folder, `${name.split(':')[1]}-${version}.jar`)
    if (!existsSync(jar)) {
      const copy = [
        'dependency:copy',
        `-Dartifact=${name}:${version}`,
        `-DoutputDirectory=${folder}`,
      ]
      await this.run('mvn', ['-q', '-B', ...copy])
    }
    return jar
  }

  /** Runs a command to its end and returns its output. */
  async run(command: string, args: string[], options: SpawnOptions = {}): Promise<string> {
    const child = await this.#start(command, args, options)
    const [code] = await once(child, 'exit')
    const output = await readFile(this.#log, 'utf8')
    if (code !== 0) throw new Error(`${command} ${args.join(' ')}\n${output.slice(-3000)}`)
    return output.trim()
  }

  /** Starts a server and waits until it answers at `ready`. */
  async serve(command: string, args: string[], options: SpawnOptions & { ready?: string } = {}) {
    const { ready, ...rest } = options
    const child = await this.#start(command, args, rest)
    this.#children.push(child)
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${command} ended:\n${await this.log()}`)
      const answer = await fetch(ready ?? this.url, { redirect: 'manual' }).catch(() => undefined)
      if (answer !== undefined && (ready === undefined || answer.status < 400)) return
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  /** The output of the last command. */
  async log(): Promise<string> {
    return (await readFile(this.#log, 'utf8')).slice(-5000)
  }

  /** Adds something to close with the trial; started servers are closed anyway. */
  closeAfter(close: () => unknown): void {
    this.#closings.push(close)
  }

  /** The versions of installed Python packages. */
  async versions(python: string, ...packages: string[]): Promise<string> {
    const code =
      'import sys, importlib.metadata as m; print(*(f"{p} {m.version(p)}" for p in sys.argv[1:]), sep=", ")'
    const child = spawn(python, ['-c', code, ...packages], { stdio: ['ignore', 'pipe', 'inherit'] })
    return (await text(child.stdout)).trim()
  }

  async close(): Promise<void> {
    for (const close of this.#closings) await close()
    for (const child of this.#children) {
      if (child.exitCode !== null || child.pid === undefined) continue
      const exited = once(child, 'exit')
      // End the whole process group: some servers start workers.
      process.kill(-child.pid, 'SIGKILL')
      await exited
    }
    await rm(this.folder, { recursive: true, force: true })
  }

  get #log(): string {
    return join(this.folder, 'output.log')
  }

  async #start(command: string, args: string[], options: SpawnOptions): Promise<ChildProcess> {
    await mkdir(this.folder, { recursive: true })
    const log = openSync(this.#log, 'w')
    const child = spawn(command, args, {
      cwd: this.folder,
      detached: true,
      ...options,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    child.on('error', () => {})
    await once(child, 'spawn')
    return child
  }
}
