import { html } from 'ghtml'
import type { AuthorizationRequestFacts } from '../../schemas/authorize.ts'
import { layout } from './layout.ts'

/** The page that waits for an agent and then goes on to the website. */
export function waitingPage(facts: AuthorizationRequestFacts, nonce: string): string {
  const { request_id, client_name, redirect_host } = facts
  return layout({
    title: `Sign in to ${client_name}`,
    nonce,
    head: html`<meta name="request-id" content="${request_id}">
<script nonce="${nonce}">window.authRequest = { request_id: '${request_id}' }</script>`,
    main: html`<h1 data-request-id="${request_id}">Sign in to ${client_name}</h1>
<p role="status">Waiting for your agent. You will return to ${redirect_host}.</p>`,
  })
}
