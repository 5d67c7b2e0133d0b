import type { Trial } from '../trial.ts'
import type { Workshop } from '../workshop.ts'
import { springProject } from './spring.ts'

export const springBoot3: Trial = {
  start: (workshop) => serveSpring(workshop, '3.5.7', workshop.files[1] ?? ''),
  login: '/oauth2/authorization/auth-agent',
  home: '/',
}

export const springBoot4: Trial = {
  start: (workshop) => serveSpring(workshop, '4.0.7', 'package example;'),
  login: '/oauth2/authorization/auth-agent',
  home: '/',
}

async function serveSpring(workshop: Workshop, version: string, security: string): Promise<string> {
  const jar = await workshop.maven(
    `spring-boot-${version}`,
    springProject({
      version,
      starters: ['spring-boot-starter-oauth2-client'],
      security,
      greeting: 'principal.getName()',
    }),
  )
  const config = await workshop.write('application.yml', workshop.lines)
  const options = ['--server.address=localhost', `--server.port=${workshop.port}`]
  const place = [`--spring.config.location=${config}`, ...options]
  await workshop.serve('java', ['-Xmx256m', '-jar', jar, ...place])
  return `Spring Boot ${version}`
}
