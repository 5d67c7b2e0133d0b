import { html } from 'ghtml'
import { layout, symbol } from './layout.ts'

/**
 * Sends the browser to the website with an error (OAuth 2.0 Form Post Response Mode section 2): by
 * itself, or by the button where scripts do not run.
 */
export function formPostPage(
  action: string,
  members: Record<string, string>,
  nonce: string,
): string {
  const inputs = Object.entries(members).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )
  return layout({
    title: 'This sign-in cannot start',
    state: 'error',
    nonce,
    main: html`<h1>This sign-in cannot start</h1>
<div class="status" role="alert">!${symbol}
<p><strong>The website's request was not valid</strong>
<span>You are being sent back with the error.</span></p></div>
<form method="post" action="${action}">!${inputs.join('')}<button>Go back to the website</button></form>
<script nonce="${nonce}">document.forms[0].submit()</script>`,
    footer: html`You return to ${new URL(action).host}.`,
  })
}
