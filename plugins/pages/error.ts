import { html } from 'ghtml'
import { layout, symbol } from './layout.ts'

/**
 * What a person sees when a sign-in cannot start. It has no link: no address of the request is known
 * to be good.
 * @param reference what the log calls the request
 * @param error_uri where the error is explained, for the website's operator
 */
export function errorPage(
  message: string,
  {
    nonce,
    reference,
    error_uri,
  }: { nonce: string; reference: string; error_uri?: string | undefined },
): string {
  return layout({
    title: 'This sign-in cannot start',
    state: 'error',
    nonce,
    main: html`<h1>This sign-in cannot start</h1>
<div class="status" role="alert">!${symbol}
<p><strong>${message}</strong> <span>Nothing was shared with anybody.</span></p></div>
<div class="steps">
<p>Go back with your browser's Back button, or close this window, and start the sign-in again from the website.</p>
<p>If it fails again, tell the website's operator the sentence above!${error_uri === undefined ? '' : html` and the address of its explanation: <code>${error_uri}</code>`}.</p>
<p>For this server's operator, who finds it in the log: <code>${reference}</code></p>
</div>`,
    footer:
      'You are not asked for a password here. Do not enter one on a page that looks like this.',
  })
}
