import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

/** How many networks are shown. */
const SHOWN = 100

/** GET /console/limits: whose failed attempts are bounded, as this process counts them. */
const limits: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.get('/console/limits', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOperator(request)
    const networks = app.throttle.listNetworks(SHOWN)
    const { THROTTLE_FAILURES, THROTTLE_WINDOW } = app.settings
    return sendFramed(app, reply, {
      title: 'Limits',
      signedIn,
      section: 'console/limits',
      main: html`<p>Failed attempts to prove to be an agent, a website or an API are counted by the network that they come from, in this process, for ${THROTTLE_WINDOW} seconds; <code>THROTTLE_FAILURES</code> is ${THROTTLE_FAILURES}. A right secret or key is always let through.</p>
!${networks.length === 0 ? '<p>No attempt has failed lately.</p>' : table(networks)}`,
    })
  })
}

interface Counted {
  network: string
  count: number
  allowed: number
  until: number
}

function table(networks: Counted[]): string {
  const rows = networks.map(
    ({ network, count, allowed, until }) =>
      html`<tr><th scope="row"><code>${network}</code></th><td class="number">${count}</td><td class="number">${allowed}</td><td>!${count >= allowed ? '<span class="tag bad">refused</span>' : '<span class="tag">counted</span>'}</td><td>!${timeElement(until)}</td></tr>`,
  )
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Networks"><table><thead><tr><th scope="col">Network</th><th scope="col" class="number">Failures</th><th scope="col" class="number">Allowed</th><th scope="col">Further failures are</th><th scope="col">Until</th></tr></thead><tbody>!${rows.join('\n')}</tbody></table></div>`
}

export default fp(limits, {
  name: 'console/limits',
  encapsulate: true,
  decorators: { fastify: ['sessions', 'settings', 'throttle'] },
})
