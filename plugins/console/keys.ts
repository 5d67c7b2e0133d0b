import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { KEY_SET_MAX_AGE } from '../core/crypto/keys.ts'
import { SIGNING_ALGS } from '../core/settings.ts'
import { actForm, CONSOLE_NEEDS, serveAct } from '../pages/console-act.ts'
import { choice, FieldSet } from '../pages/fields.ts'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/keys'

/** /console/keys: what signs tokens, and the succession of a key. */
const keys: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/console/keys',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const all = await app.keys.list()
      const now = app.clock.now()
      return sendFramed(app, reply, {
        title: 'Signing keys',
        signedIn,
        section: SECTION,
        notice: request.query.done === 'rotated' ? 'There is a new key.' : undefined,
        main: html`!${all.map((key) => toCard(key, now)).join('\n')}
<p>Each is succeeded by a new one when it has signed for ${app.settings.SIGNING_KEY_TTL} seconds.</p>
<p class="actions"><a class="button" href="console/keys/rotate">Make a new key</a></p>`,
      })
    },
  )

  serveAct<undefined>(app, {
    path: '/console/keys/rotate',
    section: SECTION,
    find: async () => undefined,
    ask: () => ({
      title: 'Make a new key',
      main: actForm({
        path: 'console/keys/rotate',
        main: html`<p class="caution">APIs and websites keep the key set for up to ${KEY_SET_MAX_AGE} seconds. With a key that signs at once, they refuse good tokens until they fetch it again: do that only when the old key may be known to somebody.</p>!${rotation.toInputs({ alg: algOf(app.settings.ACCESS_TOKEN_ALG), when: 'later' })}`,
        button: 'Make a new key',
        action: 'rotate-key',
        back: SECTION,
      }),
    }),
    async act(_subject, form) {
      const { alg, when } = rotation.read(form)
      const key = await app.keys.rotate(when === 'now', alg)
      const detail = `${key.alg} ${key.kid}, which signs ${when === 'now' ? 'at once' : 'later'}`
      return {
        to: `${SECTION}?done=rotated`,
        event: { event: 'signing_key', outcome: 'rotated', detail },
      }
    },
  })
}

interface Key {
  kid: string
  alg: string
  created_at: number
  active_from: number
  remove_at: number | null
}

function toCard({ kid, alg, created_at, active_from, remove_at }: Key, now: number): string {
  const state =
    active_from > now
      ? '<span class="tag">published, does not sign yet</span>'
      : remove_at === null
        ? '<span class="tag good">signs</span>'
        : '<span class="tag">signs until its successor does, then only verifies</span>'
  return html`<section class="card"><h2 class="title"><code>${kid}</code></h2><p>${alg} !${state}</p>
<dl><div><dt>Published</dt><dd>!${timeElement(created_at)}</dd></div><div><dt>Signs from</dt><dd>!${timeElement(active_from)}</dd></div>!${remove_at === null ? '' : html`<div><dt>Leaves the key set</dt><dd>!${timeElement(remove_at)}</dd></div>`}</dl></section>`
}

function algOf(alg: string): string {
  return SIGNING_ALGS.includes(alg) ? alg : (SIGNING_ALGS[0] ?? '')
}

const rotation = new FieldSet<{ alg: string; when: 'later' | 'now' }>({
  alg: choice('Algorithm', Object.fromEntries(SIGNING_ALGS.map((alg) => [alg, alg]))),
  when: choice('From when on it signs', {
    later: 'Once everybody had time to fetch it',
    now: 'At once',
  }),
})

const Query = Type.Object({ done: Type.Optional(Type.String()) })

export default fp(keys, {
  name: 'console/keys',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'clock', 'keys'] },
})
