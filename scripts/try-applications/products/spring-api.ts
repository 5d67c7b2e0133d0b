import { springApi as preset } from '../../presets/apis.ts'
import type { ApiTrial } from '../trial.ts'
import { springProject } from './spring.ts'

export function springApi(version: string): ApiTrial {
  return {
    async start(workshop) {
      const [file] = preset.files
      const jar = await workshop.maven(
        `spring-api-${version}`,
        springProject({
          version,
          starters: ['spring-boot-starter-oauth2-resource-server'],
          security: file?.lines(workshop.given) ?? '',
          greeting: 'principal.getName()',
        }),
      )
      const place = ['--server.address=localhost', `--server.port=${workshop.port}`]
      await workshop.serve('java', ['-Xmx256m', '-jar', jar, ...place])
      return `Spring Boot ${version}`
    },
  }
}
