import type { Trial } from '../trial.ts'

export const passportOpenidconnect: Trial = {
  async start(workshop) {
    const strategy = await workshop.npm('passport-openidconnect@0.1.2')
    const { issuer, client_id, client_secret, url } = workshop.given
    const options = {
      issuer,
      authorizationURL: `${issuer}/authorize`,
      tokenURL: `${issuer}/token`,
      userInfoURL: `${issuer}/userinfo`,
      clientID: client_id,
      clientSecret: client_secret,
      callbackURL: `${url}/callback`,
      scope: ['email'],
    }
    await workshop.write(
      'website.cjs',
      `const { createServer } = require('node:http')
const Strategy = require(${JSON.stringify(strategy)})

const strategy = new Strategy(${JSON.stringify(options)}, (issuer, profile, done) => done(null, profile))
createServer((request, response) => {
  request.query = Object.fromEntries(new URL(request.url, 'http://localhost').searchParams)
  request.session = {}
  const attempt = Object.create(strategy)
  attempt.redirect = (location) => response.writeHead(302, { location }).end()
  attempt.fail = (info) => response.end(JSON.stringify([info, request.url]))
  attempt.error = (error) => response.end(String(error))
  if (request.url === '/') response.end()
  else attempt.authenticate(request, {})
}).listen(${workshop.port}, 'localhost')
`,
    )
    await workshop.serve(process.execPath, ['website.cjs'])
    return 'passport-openidconnect 0.1.2'
  },
  login: '/login',
  impossible: /code_challenge/,
}
