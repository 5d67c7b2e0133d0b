import { join } from 'node:path'
import type { Trial } from '../trial.ts'

export const oktaOidcMiddleware: Trial = {
  async start(workshop) {
    const middleware = await workshop.npm('@okta/oidc-middleware@5.5.1')
    const session = await workshop.npm('express-session@1.19.0')
    const { issuer, client_id, client_secret, url } = workshop.given
    const options = {
      issuer,
      client_id,
      client_secret,
      appBaseUrl: url,
      scope: 'openid email',
      routes: { loginCallback: { path: '/callback' } },
      testing: { disableHttpsCheck: true },
    }
    const paths = [join(middleware, '../../express'), session, middleware]
    const [express, sessions, okta] = paths.map((path) => JSON.stringify(path))
    await workshop.write(
      'website.cjs',
      `const { ExpressOIDC } = require(${okta})
const website = require(${express})()
website.use(require(${sessions})({ secret: 'of this trial', resave: true, saveUninitialized: false }))
const oidc = new ExpressOIDC(${JSON.stringify(options)})
website.use(oidc.router)
website.get('/', (request, response) => response.send(request.userContext?.userinfo.email ?? 'Nobody'))
oidc.on('ready', () => website.listen(${workshop.port}, 'localhost'))
oidc.on('error', (error) => console.error(error))
`,
    )
    await workshop.serve(process.execPath, ['website.cjs'])
    return '@okta/oidc-middleware 5.5.1'
  },
  login: '/login',
  impossible: /code_challenge/,
}
