import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { endWithError, OAuthError, sendClientError } from './errors.ts'

/** How often a closing server ends idle connections, in milliseconds. */
const CHECK_EVERY = 250
/** After how many milliseconds a closing server ends all connections. */
const LAST_ANSWER = 7000

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
}

/**
 * The connections of every address that the server listens on. Errors of Node's HTTP server get the
 * form of all other errors. A closing server finishes the answers to complete requests and ends
 * connections with an incomplete request, which would delay it.
 */
export class Connections {
  readonly #exchanges = new Map<Socket, Set<Exchange>>()
  #timer: NodeJS.Timeout | undefined

  /** Handles the connections of a server. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#exchanges.set(socket, new Set())
      socket.once('close', () => this.#exchanges.delete(socket))
    })
    server.prependListener('request', (request, response) => this.#begin(request, response))
    server.on('checkExpectation', (request, response) => {
      this.#begin(request, response)
      const error = new OAuthError('invalid_request', 'Only Expect: 100-continue is understood', {
        status: 417,
      })
      endWithError(response, error)
    })
    server.on('connect', (_request: IncomingMessage, socket: Socket) => {
      sendClientError(Object.assign(new Error(), { code: 'CONNECT' }), socket)
    })
    server.removeAllListeners('clientError')
    server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
      // The client would take a second response for the answer to its current request.
      if (this.#isAnswering(socket)) socket.destroy()
      else sendClientError(error, socket)
    })
  }

  /** Repeatedly ends connections without a request being answered, and after some seconds all of them. */
  startEnding(): void {
    const started = performance.now()
    this.#timer ??= setInterval(() => {
      const last = performance.now() - started >= LAST_ANSWER
      for (const socket of this.#exchanges.keys()) {
        if (last || !this.#isAnswering(socket)) socket.destroy()
      }
    }, CHECK_EVERY)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const exchange = { request, response }
    const exchanges = this.#exchanges.get(request.socket)
    exchanges?.add(exchange)
    response.once('close', () => exchanges?.delete(exchange))
  }

  /** Whether a complete request has arrived and its answer is not sent yet. */
  #isAnswering(socket: Socket): boolean {
    for (const { request, response } of this.#exchanges.get(socket) ?? []) {
      if (response.headersSent || request.complete) return !response.writableFinished
    }
    return false
  }
}

/** Handles the connections of an application that is about to listen. */
export function watchConnections(app: FastifyInstance): void {
  const connections = new Connections()
  connections.watch(app.server)
  app.addHook('onListen', async () => {
    for (const server of furtherServers(app)) connections.watch(server)
  })
  app.addHook('preClose', async () => connections.startEnding())
  app.addHook('onClose', async () => connections.stop())
}

/** Fastify makes one server for each further address of `localhost`, and exposes them only here. */
function furtherServers(app: FastifyInstance): Server[] {
  const bindings = Object.getOwnPropertySymbols(app).find(
    ({ description }) => description === 'fastify.serverBindings',
  )
  return bindings === undefined ? [] : Reflect.get(app, bindings)
}
