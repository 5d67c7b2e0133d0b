import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { BuildOptions } from '../../plugins/app.ts'
import type { Settings } from '../../plugins/core/settings.ts'
import { build } from '../harness.ts'

/** A port of this machine that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A server that listens on a real socket at its own issuer. */
export async function listen(
  t: Test,
  settings: Partial<Settings> = {},
  options: BuildOptions = {},
): Promise<{ app: FastifyInstance; issuer: string }> {
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const app = await build(t, { ISSUER: issuer, ...settings }, options)
  await app.listen({ host: '127.0.0.1', port })
  return { app, issuer }
}

/** The origin of a website that `listener` serves. */
export async function serve(t: Test, port: number, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${port}`
}

/** What a browser is to one website: it keeps the cookies and follows redirects when asked to. */
export class Visitor {
  readonly #cookies = new Map<string, string>()

  async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    const cookies = [...this.#cookies].map(([name, value]) => `${name}=${value}`)
    if (cookies.length > 0) headers.set('cookie', cookies.join('; '))
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = line.match(/^([^=]+)=([^;]*)/) ?? []
      if (/max-age=0/i.test(line)) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    return response
  }

  /** Where an answer redirects to. */
  async redirectOf(url: string | URL, init: RequestInit = {}): Promise<URL> {
    const response = await this.fetch(url, init)
    const location = response.headers.get('location')
    if (location === null) throw new Error(`${response.status} ${await response.text()}`)
    return new URL(location, url)
  }
}
