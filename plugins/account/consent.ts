import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { Static } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { quoteName, shownName } from '../../schemas/name.ts'
import { OFFLINE_ACCESS, scopeWords } from '../../schemas/scope.ts'
import { toLines, VOUCHERS } from '../core/audit/sign-in-lines.ts'
import { OAuthError } from '../core/http/errors.ts'
import {
  type Choice,
  LASTS,
  type Lasting,
  NEW_AGENT,
  type Offer,
} from '../core/sign-in/consents.ts'
import { sendFramed } from '../pages/frame.ts'
import { sendGoOn } from '../pages/go-on.ts'
import { passkeyScript } from '../pages/passkey-script.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { cautions } from '../pages/sign-in-rows.ts'

/**
 * /account/consent: a person signs in to a website in the browser that opened the request there, in
 * place of an agent. Nobody can be led to consent to a request that another browser began (login
 * cross-site request forgery): its cookie has to be there. What signs in is a passkey's assertion over
 * everything that is shown and chosen; the session alone can only refuse.
 */
const consent: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/consent',
    { schema: { hide: true, querystring: Asked } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const offer = await readOffer(request, request.query.request_id)
      return sendFramed(app, reply, {
        title: `Sign in to ${siteOf(offer)}`,
        signedIn,
        main: describeOffer(offer, {
          digest: app.consents.digest(offer),
          passkeysWork: app.passkeys.works,
        }),
        script: passkeyScript,
      })
    },
  )

  app.post(
    '/account/consent/options',
    { schema: { hide: true, body: Answer } },
    async (request) => {
      app.ownOrigin.assert(request)
      const { owner } = await app.sessions.assertOwner(request)
      const { offer, choice } = await readAnswer(request, request.body)
      const subject = app.consents.subject(offer, choice)
      return await app.passkeys.requestOptions('consent', { owner_id: owner.owner_id, subject })
    },
  )

  app.post('/account/consent', { schema: { hide: true, body: Answer } }, async (request, reply) => {
    app.ownOrigin.assert(request)
    const signedIn = await app.sessions.assertOwner(request)
    const { offer, choice } = await readAnswer(request, request.body)
    const { owner_id } = signedIn.owner
    const subject = app.consents.subject(offer, choice)
    const { passkey } = request.body
    const { proof } = await app.passkeys.verify('consent', passkey, { owner_id, subject })
    const proved = { subject, proof }
    const response = await app.consents.consent(offer, choice, signedIn, proved, request.ip)
    return sendGoOn(reply, response, {
      title: 'You are signed in',
      detail: `Signed in to ${siteOf(offer)}`,
      state: 'finished',
      byItself: true,
    })
  })

  app.post(
    '/account/consent/deny',
    { schema: { hide: true, body: Asked } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { client, request: pending } = await readOffer(request, request.body.request_id)
      const response = await app.consents.deny(pending, signedIn, request.ip)
      return sendGoOn(reply, response, {
        title: 'You refused',
        detail: 'The sign-in was refused',
        state: 'error',
        // RFC 9700 section 4.11.2: no stranger's link leads through this server by itself.
        byItself: client.origin === 'operator',
      })
    },
  )

  /**
   * What this browser is asked.
   * @throws {OAuthError} not_found; access_denied in a browser that did not open the request
   */
  async function readOffer(
    request: Pick<FastifyRequest, 'headers'>,
    request_id: string,
  ): Promise<Offer> {
    const signedIn = await app.sessions.assertOwner(request)
    const pending = await app.consents.findPending(request_id)
    const { browser_hash } = pending
    if (browser_hash === null || !app.browserCookie.matches(request, browser_hash)) {
      throw new OAuthError(
        'access_denied',
        'This sign-in was begun in another browser. If it was you, go on in that browser; if it was not, somebody wants you to sign in for them: close this page',
      )
    }
    return await app.consents.offer(pending, signedIn)
  }

  async function readAnswer(
    request: Pick<FastifyRequest, 'headers'>,
    { request_id, shown, agent, scope = [], lasts, remember }: Static<typeof Answer>,
  ): Promise<{ offer: Offer; choice: Choice }> {
    const offer = await readOffer(request, request_id)
    if (shown !== app.consents.digest(offer)) {
      throw new OAuthError(
        'access_denied',
        'The website has changed since this page was shown: load the page again and read it',
      )
    }
    const scopes = offer.optional.filter((word) => [scope].flat().includes(word))
    if (scopes.length < new Set([scope].flat()).size) {
      throw new OAuthError('invalid_request', 'The website did not ask for that')
    }
    return { offer, choice: { agent, scopes, lasts, remember: remember === 'yes' } }
  }
}

const Asked = Type.Object({ request_id: Type.String({ minLength: 1, maxLength: 255 }) })
const Answer = Type.Object({
  request_id: Type.String({ minLength: 1, maxLength: 255 }),
  /** The digest of what was shown. */
  shown: Type.String({ maxLength: 255 }),
  agent: Type.String({ maxLength: 255 }),
  scope: Type.Optional(
    Type.Union([Type.String({ maxLength: 1024 }), Type.Array(Type.String(), { maxItems: 200 })]),
  ),
  lasts: Type.Union([
    Type.Literal('until-stopped'),
    Type.Literal('30-days'),
    Type.Literal('1-day'),
    Type.Literal('once'),
  ]),
  remember: Type.Optional(Type.String({ maxLength: 8 })),
  passkey: Type.Optional(Type.String()),
})

export default fp(consent, {
  name: 'account/consent',
  encapsulate: true,
  decorators: {
    fastify: ['browserCookie', 'consents', 'ownOrigin', 'passkeys', 'sessions', 'settings'],
  },
})

/** The name that the operator gave the site; of a client that nobody vouches for, where it leads. */
function siteOf({ client, description }: Offer): string {
  return client.origin === 'operator' ? shownName(client.client_name) : description.redirect_host
}

function describeOffer(
  offer: Offer,
  { digest, passkeysWork }: { digest: string; passkeysWork: boolean },
): string {
  const { request, description, client, preselected } = offer
  const { redirect_host, client_host, client_origin } = description
  const asker =
    client_host === undefined
      ? ''
      : html`<div><dt>Asked by</dt><dd><strong>${client_host}</strong></dd></div>`
  const known =
    client.subject === 'owner'
      ? 'It knows you as one person, whichever agent you choose, and is told the agent beside it.'
      : 'It knows the agent that you choose, and not you: another agent is somebody else there.'
  return html`<p>You, and not an agent, can sign in here. The website is told your e-mail address where it asks for it.</p>
!${cautions(description)}
<dl class="card"><div><dt>Returns to</dt><dd><strong>${redirect_host}</strong></dd></div>
!${asker}<div><dt>Calls itself</dt><dd><bdi>${quoteName(client.client_name)}</bdi></dd></div>
<div><dt>Vouched for by</dt><dd>${VOUCHERS[client_origin]}</dd></div>
</dl>
<form class="card" method="post" action="account/consent">
!${scopeChoice(offer)}
!${agentChoice(offer)}
<p class="quiet">${known}</p>
!${lastingChoice()}
!${rememberChoice(offer)}
!${preselected === undefined ? html`<p class="error">None of your agents may sign in here, so you cannot. You can refuse, or change the policy of an agent first.</p>` : ''}
!${passkeysWork ? '' : html`<p class="error">This server is reached by an address, where there are no passkeys: nobody can consent here. Its operator has to give it a name.</p>`}
<noscript><p class="caution">A passkey needs JavaScript, which is off in this browser. You can still refuse.</p></noscript>
<div class="actions">
!${preselected !== undefined && passkeysWork ? '<button data-action="approve" data-passkey-options="account/consent/options" data-passkey-verify="account/consent">Sign in with your passkey</button>' : ''}
<button class="quiet" data-action="deny" formaction="account/consent/deny" formnovalidate>Refuse</button>
</div>
<input type="hidden" name="request_id" value="${request.request_id}">
<input type="hidden" name="shown" value="${digest}">
</form>
<details><summary>All that is known of this request</summary>
<dl>!${toLines(description)
    .map(([label, text]) => html`<div><dt>${label}</dt><dd><bdi>${text}</bdi></dd></div>`)
    .join('')}</dl></details>`
}

function scopeChoice({ required, optional, request, description }: Offer): string {
  const identity =
    required.length === 0
      ? ''
      : html`<li>Your e-mail address<span class="hint">The sign-in needs it: ${required.join(' ')}</span></li>`
  const offline = scopeWords(request.scope).includes(OFFLINE_ACCESS)
    ? '<li>To stay signed in, for as long as you choose below</li>'
    : ''
  const fixed = identity + offline
  const groups = description.apis.map(({ uri, name, scopes }) => {
    const called = name === undefined ? uri : `${shownName(name)} (${uri})`
    const boxes = scopes.filter((word) => optional.includes(word)).map(scopeBox)
    return html`<fieldset><legend>At <bdi>${called}</bdi></legend>
!${boxes.length === 0 ? '<p>Access without a scope of its own</p>' : boxes.join('')}</fieldset>`
  })
  const inApis = new Set(description.apis.flatMap(({ scopes }) => scopes))
  const others = optional.filter((word) => !inApis.has(word)).map(scopeBox)
  return html`<h2>What it gets</h2>
!${fixed === '' ? '' : html`<ul>!${fixed}</ul>`}
!${groups.join('')}!${others.length === 0 ? '' : html`<fieldset><legend>Beside that</legend>!${others.join('')}</fieldset>`}`
}

function scopeBox(word: string): string {
  return html`<label class="choice"><input type="checkbox" name="scope" value="${word}" checked><span>${word}</span></label>`
}

function agentChoice({ agents, mayBeNew, client, preselected }: Offer): string {
  const choice = (value: string, label: string, refusal?: string) =>
    html`<label class="choice"><input type="radio" name="agent" value="${value}" required!${value === preselected ? ' checked' : ''}!${refusal === undefined ? '' : ' disabled'}><span>!${label}!${refusal === undefined ? '' : html`<span class="hint">Not possible: ${refusal}</span>`}</span></label>`
  const rows = agents.map(({ agent: { agent_id, name }, refusal }) =>
    choice(
      agent_id,
      name === null
        ? html`<code>${agent_id}</code>`
        : html`<bdi>${quoteName(name)}</bdi><span class="hint">${agent_id}</span>`,
      refusal,
    ),
  )
  if (mayBeNew) {
    rows.push(choice(NEW_AGENT, html`A new one, named <bdi>${quoteName(client.client_name)}</bdi>`))
  }
  return html`<fieldset><legend>As which of your agents</legend>
!${rows.length === 0 ? '<p>None can be chosen.</p>' : rows.join('')}</fieldset>`
}

const LASTING: Record<Lasting, string> = {
  'until-stopped': 'Until you stop it, in your account',
  '30-days': '30 days',
  '1-day': 'One day',
  once: 'This once, without staying signed in',
}

function lastingChoice(): string {
  const rows = (Object.keys(LASTS) as Lasting[]).map(
    (value) =>
      html`<label class="choice"><input type="radio" name="lasts" value="${value}"!${value === '30-days' ? ' checked' : ''}><span>${LASTING[value]}</span></label>`,
  )
  return html`<fieldset><legend>For how long</legend>!${rows.join('')}</fieldset>`
}

function rememberChoice({ mayRemember }: Offer): string {
  if (!mayRemember) return ''
  return html`<label class="choice"><input type="checkbox" name="remember" value="yes"><span>Do not ask again for the same<span class="hint">For as long as chosen above; not with “this once”. It holds in browsers in which you are signed in here.</span></span></label>`
}
