import { randomBytes } from 'node:crypto'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { html } from 'ghtml'
import * as oauth from 'openid-client'

export interface WebsiteOptions {
  /** The website's configuration for the authorization server. */
  issuer: string
  client_id: string
  client_secret: string
  /** The `fetch` that calls the authorization server; the demo passes one that prints. */
  fetch?: oauth.CustomFetch
}

export interface Website {
  /** Its URL; its redirect URI is `/callback` there. */
  url: string
  close(): Promise<void>
}

interface Session {
  /** The sign-ins that have begun in this browser, by their `state`. */
  begun: Map<string, { code_verifier: string; popup: boolean }>
  /** Without a model, a person signed in. */
  user?: { email: string; agent_id: string; model: string | undefined }
}

/**
 * A small website with a "Sign in with Auth Agent" button. It listens on a free port of 127.0.0.1;
 * registered as `http://127.0.0.1/callback`, it may use any port (RFC 8252 section 7.3).
 */
export async function startWebsite(options: WebsiteOptions): Promise<Website> {
  const { issuer, client_id, client_secret } = options
  const server = await oauth.discovery(
    new URL(issuer),
    client_id,
    undefined,
    oauth.ClientSecretBasic(client_secret),
    {
      algorithm: 'oauth2',
      execute: [oauth.allowInsecureRequests],
      [oauth.customFetch]: options.fetch,
    },
  )
  const sessions = new Map<string, Session>()
  const app = Fastify()
  await app.register(cookie)
  await app.register(formbody)
  app.addHook('onSend', async (_request, reply) => {
    reply.header('content-security-policy', "default-src 'self'; frame-ancestors 'none'")
    reply.header('cache-control', 'no-store')
  })
  app.setErrorHandler((error, _request, reply) => {
    const reason = error instanceof Error ? error.message : String(error)
    return reply.code(400).type('text/html').send(problemPage(reason))
  })

  app.get('/', (request, reply) => {
    const user = findSession(request)?.user
    return reply.type('text/html').send(user ? greetingPage(user) : signInPage())
  })

  app.get<{ Querystring: { popup?: string } }>('/login', async (request, reply) => {
    const session = findSession(request) ?? startSession(reply, { begun: new Map() })
    const code_verifier = oauth.randomPKCECodeVerifier()
    const state = oauth.randomState()
    session.begun.set(state, { code_verifier, popup: request.query.popup !== undefined })
    const location = oauth.buildAuthorizationUrl(server, {
      redirect_uri: `${app.listeningOrigin}/callback`,
      scope: 'email',
      code_challenge: await oauth.calculatePKCECodeChallenge(code_verifier),
      code_challenge_method: 'S256',
      state,
    })
    return reply.redirect(location.href, 303)
  })

  app.get<{ Querystring: { state?: string } }>('/callback', async (request, reply) => {
    const session = findSession(request)
    const { state = '' } = request.query
    const begun = session?.begun.get(state)
    if (session === undefined || begun === undefined) {
      throw new Error('This sign-in did not begin in this browser.')
    }
    session.begun.delete(state)
    const callback = new URL(request.url, app.listeningOrigin)
    const tokens = await oauth.authorizationCodeGrant(server, callback, {
      pkceCodeVerifier: begun.code_verifier,
      expectedState: state,
    })
    const { sub, email } = await oauth.fetchUserInfo(
      server,
      tokens.access_token,
      oauth.skipSubjectCheck,
    )
    const { model } = await oauth.tokenIntrospection(server, tokens.access_token)
    endSession(request)
    startSession(reply, {
      begun: session.begun,
      user: {
        email: String(email),
        agent_id: sub,
        model: model === undefined ? undefined : String(model),
      },
    })
    if (begun.popup) return reply.type('text/html').send(popupPage())
    return reply.redirect('/', 303)
  })

  app.post('/logout', (request, reply) => {
    endSession(request)
    return reply.redirect('/', 303)
  })

  app.get('/icon.svg', (_request, reply) => reply.type('image/svg+xml').send(icon))
  app.get('/site.css', (_request, reply) => reply.type('text/css').send(style))
  app.get('/site.js', (_request, reply) => reply.type('text/javascript').send(script))

  function findSession(request: FastifyRequest): Session | undefined {
    return sessions.get(request.cookies.session ?? '')
  }

  function startSession(reply: FastifyReply, session: Session): Session {
    const id = randomBytes(32).toString('base64url')
    sessions.set(id, session)
    reply.setCookie('session', id, { path: '/', httpOnly: true, sameSite: 'lax' })
    return session
  }

  function endSession(request: FastifyRequest): void {
    sessions.delete(request.cookies.session ?? '')
  }

  await app.listen({ host: '127.0.0.1', port: 0 })
  return { url: app.listeningOrigin, close: () => app.close() }
}

function page(title: string, main: string): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/site.css">
<script src="/site.js" defer></script>
</head>
<body><main>!${main}</main></body>
</html>
`
}

function signInPage(): string {
  return page(
    'Paper & Pine',
    `<h1>Paper &amp; Pine</h1>
<p>Notebooks for people, and for those who act for them.</p>
<p><a class="button" href="/login">Sign in with Auth Agent</a></p>
<p><button type="button" id="popup">Sign in with Auth Agent in a popup</button></p>`,
  )
}

function greetingPage({ email, agent_id, model }: NonNullable<Session['user']>): string {
  return page(
    'Signed in at Paper & Pine',
    html`<h1>Hello, ${email}</h1>
<p>!${model === undefined ? html`You signed in yourself, as your agent <code>${agent_id}</code>.` : html`Your agent <code>${agent_id}</code> signed in for you, with the model ${model}.`}</p>
<form method="post" action="/logout"><button>Sign out</button></form>`,
  )
}

function problemPage(reason: string): string {
  return page(
    'Sign-in problem',
    html`<h1>You are not signed in</h1><p>${reason}</p><p><a href="/">Try again</a></p>`,
  )
}

function popupPage(): string {
  return page('Signed in', '<h1 id="close">You are signed in, this window can be closed</h1>')
}

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<path fill="#1d5c4d" d="M8 1l6 11H9v3H7v-3H2z"/></svg>`

const style = `
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1.05rem/1.6 Georgia, serif; }
main { max-width: 34rem; padding: 2rem; }
.button, button { font: inherit; padding: .6rem 1.1rem; border-radius: .5rem; border: 1px solid #1d5c4d; cursor: pointer; }
.button { display: inline-block; color: #fff; background: #1d5c4d; text-decoration: none; }
`

const script = `
const channel = new BroadcastChannel('sign-in')
if (document.getElementById('close')) {
  channel.postMessage('signed in')
  close()
}
channel.onmessage = () => location.reload()
const popup = document.getElementById('popup')
popup?.addEventListener('click', () => open('/login?popup', 'sign-in', 'popup,width=520,height=680'))
`
