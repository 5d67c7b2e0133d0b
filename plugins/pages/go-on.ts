import { randomBytes } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import { html } from 'ghtml'
import type { AuthorizationResponse } from '../core/sign-in/authorization-response.ts'
import { layout, pageHeaders, symbol } from './layout.ts'

/**
 * Sends the page that goes on to the website: by itself where `byItself`, else by its link or button.
 * It is a page and no redirect, since browsers hold the redirect after a form against the form's
 * Content-Security-Policy, which names this server alone.
 */
export function sendGoOn(
  reply: FastifyReply,
  { redirect_to, form_post }: AuthorizationResponse,
  { title, detail, state, byItself }: GoOn,
): FastifyReply {
  const nonce = randomBytes(16).toString('base64')
  const { host } = new URL(redirect_to)
  const way =
    form_post === undefined
      ? html`<p><a id="go-on" rel="noreferrer" href="${redirect_to}">Go on to ${host}</a></p>`
      : html`<form id="go-on" method="post" action="${redirect_to}">!${inputs(form_post)}<button>Go on to ${host}</button></form>`
  const go = form_post === undefined ? 'location.replace(way.href)' : 'way.submit()'
  const script = `<script nonce="${nonce}">{ const way = document.getElementById('go-on'); ${go} }</script>`
  return reply
    .headers(pageHeaders(nonce, form_post && redirect_to))
    .header('cache-control', 'no-store')
    .send(
      layout({
        title,
        state,
        nonce,
        main: html`<h1>${title}</h1>
<div class="status" role="status">!${symbol}
<p><strong>${detail}</strong>
<span>${byItself ? `You are being taken to ${host}.` : `Nothing was shared with ${host}. Go there only if you know it.`}</span></p></div>
<div class="steps">!${way}</div>
!${byItself ? script : ''}`,
        footer: html`You go on to ${host}.`,
      }),
    )
}

interface GoOn {
  title: string
  detail: string
  state: 'finished' | 'error'
  byItself: boolean
}

function inputs(members: Record<string, string>): string {
  return Object.entries(members)
    .map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)
    .join('')
}
