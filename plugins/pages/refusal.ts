import { html } from 'ghtml'
import type { ErrorCode } from '../../schemas/error.ts'
import { layout, symbol } from './layout.ts'

/** Where the error goes if the person wants it to: by a link, or by a form when there is one. */
export interface Return {
  redirect_to: string
  form_post?: Record<string, string>
}

/**
 * The error of a client that nobody here has checked. Its redirect URI is shown by its host and is
 * followed by nobody but the person (RFC 9700 section 4.11.2); nothing else that it sent is shown.
 */
export function refusalPage(
  error: ErrorCode,
  { redirect_to, form_post }: Return,
  nonce: string,
): string {
  const { host } = new URL(redirect_to)
  return layout({
    title: 'This sign-in cannot start',
    state: 'error',
    nonce,
    main: html`<h1>This sign-in cannot start</h1>
<div class="status" role="alert">!${symbol}
<p><strong>${sentences[error] ?? 'The request is not valid.'}</strong>
<span>Nothing was shared with anybody.</span></p></div>
<div class="steps">
<p>Nobody here has checked the website or program that sent you. Its address is at <strong>${host}</strong>. You can go back with your browser's Back button, or close this window.</p>
<p>If you know ${host} and want to go on there, you can tell it the error, <code>${error}</code>:</p>
!${form_post === undefined ? link(redirect_to, host) : form(redirect_to, form_post, host)}
</div>`,
    footer:
      'You are not asked for a password here. Do not enter one on a page that looks like this.',
  })
}

const sentences: Partial<Record<ErrorCode, string>> = {
  invalid_scope: 'The request is for access that cannot be given.',
  invalid_target: 'The request is for an API that it cannot be given access to.',
  login_required: 'The request is for a sign-in without a page, and you would have to sign in.',
  consent_required: 'The request is for a sign-in without a page, and you would have to agree.',
  interaction_required: 'The request is for a sign-in without a page, and you would have to agree.',
  unauthorized_client: 'The request is for a sign-in that it is not registered for.',
}

function link(href: string, host: string): string {
  return html`<p><a rel="noopener noreferrer" href="${href}">Go to ${host}</a></p>`
}

function form(action: string, members: Record<string, string>, host: string): string {
  const inputs = Object.entries(members).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )
  return html`<form method="post" action="${action}" rel="noopener noreferrer">!${inputs.join('')}<button>Go to ${host}</button></form>`
}
