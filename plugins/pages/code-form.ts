import { html } from 'ghtml'

/** The form for six digits that were mailed. */
export function codeForm({
  action,
  next,
  button,
  dataAction,
}: {
  action: string
  next?: string
  button: string
  dataAction: string
}): string {
  return html`<form class="card" method="post" action="${action}">
!${next === undefined ? '' : html`<input type="hidden" name="next" value="${next}">`}
<div class="field"><label for="code">Code <span class="hint">six digits, from the mail</span></label>
<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,}" maxlength="20" required></div>
<button data-action="${dataAction}">${button}</button>
</form>`
}
