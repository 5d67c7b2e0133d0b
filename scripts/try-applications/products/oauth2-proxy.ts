import { createServer } from 'node:http'
import type { Trial } from '../trial.ts'

export const oauth2Proxy: Trial = {
  async start(workshop) {
    const program = await workshop.go(
      'oauth2-proxy',
      'github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6',
    )
    const behind = createServer((request, response) =>
      response.end(`Hello, ${request.headers['x-forwarded-email']}`),
    ).listen(0, 'localhost')
    workshop.closeAfter(() => behind.close())
    await new Promise((resolve) => behind.once('listening', resolve))
    const address = behind.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const config = await workshop.write(
      'oauth2-proxy.cfg',
      `${workshop.lines}
http_address = "localhost:${workshop.port}"
upstreams = ["http://localhost:${address.port}"]
cookie_secret = "0123456789abcdef0123456789abcdef"
cookie_secure = false
`,
    )
    await workshop.serve(program, ['--config', config])
    return 'oauth2-proxy 7.15.6'
  },
  login: '/oauth2/start',
  home: '/',
  logout: '/oauth2/sign_out',
}
