import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Workshop } from '../try-applications/workshop.ts'

const programs = join(import.meta.dirname, 'programs')

/** A program with a generated client; its arguments are issuer, agent_id and agent_secret. */
export type Command = [file: string, ...args: string[]]

/** A generator of clients, and the program of a whole sign-in that is written for its client. */
export interface Generator {
  /** The program that must be installed. */
  tools: string[]
  /** Makes a client from the document, and compiles the program against it. */
  make(workshop: Workshop, document: string): Promise<Command>
}

const GENERATOR_VERSION = '7.17.0'

async function openapiGenerator(
  workshop: Workshop,
  document: string,
  language: string,
  options: string[] = [],
): Promise<string> {
  const name = 'org.openapitools:openapi-generator-cli'
  const jar = await workshop.mavenArtifact(name, GENERATOR_VERSION)
  const output = join(workshop.folder, 'client')
  const task = ['generate', '-i', document, '-g', language, '-o', output, ...options]
  await workshop.run('java', ['-Xmx512m', '-jar', jar, ...task])
  return output
}

/** By name. */
export const GENERATORS: Record<string, Generator> = {
  'openapi-python-client': {
    tools: ['python3'],
    async make(workshop, document) {
      const python = await workshop.python('openapi-python-client==0.29.1')
      const output = join(workshop.folder, 'client')
      const task = ['generate', '--path', document, '--output-path', output]
      await workshop.run(join(python, '../openapi-python-client'), task)
      const program = join(output, 'sign_in.py')
      await copyFile(join(programs, 'openapi_python_client.py'), program)
      return [python, program]
    },
  },
  'openapi-generator-python': {
    tools: ['python3', 'java', 'mvn'],
    async make(workshop, document) {
      const output = await openapiGenerator(workshop, document, 'python', [
        '--package-name',
        'auth_agent',
      ])
      // What the generated requirements.txt names.
      const python = await workshop.python(
        'urllib3>=2.1,<3',
        'python_dateutil>=2.8.2',
        'pydantic>=2',
        'typing-extensions>=4.7.1',
      )
      const program = join(output, 'sign_in.py')
      await copyFile(join(programs, 'openapi_generator.py'), program)
      return [python, program]
    },
  },
  'openapi-generator-go': {
    tools: ['go', 'java', 'mvn'],
    async make(workshop, document) {
      const module = '--git-host example.com --git-user-id auth --git-repo-id agent'.split(' ')
      const output = await openapiGenerator(workshop, document, 'go', module)
      await mkdir(join(output, 'sign-in'))
      await copyFile(join(programs, 'main.go'), join(output, 'sign-in/main.go'))
      const program = join(output, 'program')
      await workshop.run('go', ['build', '-o', program, './sign-in'], { cwd: output })
      return [program]
    },
  },
  'openapi-generator-java': {
    tools: ['java', 'mvn'],
    async make(workshop, document) {
      const output = await openapiGenerator(workshop, document, 'java')
      await copyFile(join(programs, 'SignIn.java'), join(output, 'src/main/java/SignIn.java'))
      const path = join(output, 'class-path.txt')
      const release = ['-Dmaven.compiler.source=17', '-Dmaven.compiler.target=17']
      const goals = ['compile', 'dependency:build-classpath', `-Dmdep.outputFile=${path}`]
      await workshop.run('mvn', ['-q', '-B', ...release, ...goals], { cwd: output })
      const classPath = [join(output, 'target/classes'), await readFile(path, 'utf8')]
      return ['java', '-Xmx256m', '-cp', classPath.join(':'), 'SignIn']
    },
  },
}
