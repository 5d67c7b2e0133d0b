/**
 * The module of pages with a passkey: `sendFramed(…, { script: passkeyScript })`. A form, or one of its
 * buttons, has `data-passkey-options`, where the options are fetched with the form's fields (POST), and
 * `data-passkey-verify`, where the form is then sent with the answer in its field `passkey`.
 * `data-passkey-kind="create"` makes a passkey instead of using one.
 */
export const passkeyScript = `
const library = new Promise((resolve, reject) => {
  const script = document.createElement('script')
  script.src = 'account/webauthn.js'
  script.nonce = document.querySelector('script[nonce]').nonce
  script.onload = () => resolve(globalThis.SimpleWebAuthnBrowser)
  script.onerror = () => reject(new Error('The page could not be loaded whole. Load it again.'))
  document.head.append(script)
})
library.catch(() => {})

const WORDS = {
  NotAllowedError: 'No passkey was used: it was cancelled, took too long, or this device has none for this server.',
  InvalidStateError: 'This device has a passkey for you here already.',
  NotSupportedError: 'This device or browser cannot make a passkey that checks who you are.',
  SecurityError: 'This browser allows no passkeys at this address.',
}

async function run(form, button) {
  const { passkeyOptions, passkeyVerify, passkeyKind } = { ...form.dataset, ...button?.dataset }
  const { startAuthentication, startRegistration, browserSupportsWebAuthn } = await library
  if (!browserSupportsWebAuthn()) {
    throw new Error('This browser has no passkeys. Use another one, or another device.')
  }
  const fields = new URLSearchParams(new FormData(form, button))
  const answer = await fetch(passkeyOptions, {
    method: 'POST',
    body: fields,
    headers: { accept: 'application/json' },
  })
  const optionsJSON = await answer.json().catch(() => ({}))
  if (!answer.ok) {
    throw new Error((optionsJSON.error_description ?? 'The server did not answer as it should') + '.')
  }
  const start = passkeyKind === 'create' ? startRegistration : startAuthentication
  fields.set('passkey', JSON.stringify(await start({ optionsJSON })))
  const sent = document.createElement('form')
  sent.method = 'post'
  sent.action = passkeyVerify
  sent.hidden = true
  for (const [name, value] of fields) {
    const field = document.createElement('input')
    field.name = name
    field.value = value
    sent.append(field)
  }
  document.body.append(sent)
  sent.submit()
}

function say(form, text) {
  let place = form.querySelector('[data-passkey-error]')
  if (place === null) {
    place = document.createElement('p')
    place.className = 'error'
    place.dataset.passkeyError = ''
    form.prepend(place)
  }
  place.setAttribute('role', 'alert')
  place.hidden = text === ''
  place.textContent = text
}

let busy = false
// A page that the browser keeps comes back as it was left.
addEventListener('pageshow', () => { busy = false })
document.addEventListener('submit', async (event) => {
  const form = event.target
  const button = event.submitter
  if ((button?.dataset.passkeyOptions ?? form.dataset.passkeyOptions) === undefined) return
  event.preventDefault()
  if (busy) return
  busy = true
  say(form, '')
  try {
    await run(form, button)
  } catch (error) {
    busy = false
    const cause = error.cause ?? error
    say(form, WORDS[error.name] ?? WORDS[cause.name] ?? error.message)
  }
})
`
