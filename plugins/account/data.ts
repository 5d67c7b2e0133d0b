import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { readOwnData } from '../core/persons/own-data.ts'
import { sendFramed } from '../pages/frame.ts'
import { toJsonArray } from '../pages/history.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** /account/data: all that is kept about the owner, and the way to end the account. */
const data: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get('/account/data', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOwner(request)
    return sendFramed(app, reply, { title: 'Your data', signedIn, section: 'account/data', main })
  })

  app.get('/account/data/export', { schema: { hide: true } }, async (request, reply) => {
    const { owner } = await app.sessions.assertOwner(request)
    return reply
      .headers({
        'content-type': 'application/json',
        'content-disposition': 'attachment; filename="my-data.json"',
        'x-content-type-options': 'nosniff',
      })
      .send(Readable.from(toJsonObject(readOwnData(app, owner))))
  })
}

const main = `<section class="card"><h2 class="title">What is kept about you</h2>
<p>Your account, passkeys and browsers; your agents with their policies, keys and sign-ins; what waits for you; and the history. Secrets are not in it: this server does not have them, only what it checks them by. Times are seconds since 1970 in UTC.</p>
<p><a class="button" href="account/data/export" data-action="export">Export as JSON</a></p></section>
<section class="card"><h2 class="title">End your account</h2>
<p>You choose whether your agents end with it.</p>
<p><a class="button danger" href="account/data/delete">Delete the account …</a></p></section>`

/** An object whose values may come piece by piece. */
async function* toJsonObject(
  members: AsyncIterable<[name: string, value: unknown]>,
): AsyncGenerator<string> {
  let separator = '{'
  for await (const [name, value] of members) {
    yield `${separator}${JSON.stringify(name)}: `
    if (isIterable(value)) yield* toJsonArray(value)
    else yield JSON.stringify(value)
    separator = ',\n'
  }
  yield '}'
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

export default fp(data, {
  name: 'account/data',
  encapsulate: true,
  decorators: { fastify: ['clock', 'sessions', 'settings', 'store'] },
})
