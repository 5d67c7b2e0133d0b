import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { NAME_RULE, normalName, shownName } from '../../schemas/name.ts'
import { OAuthError } from '../core/http/errors.ts'
import { sendFramed } from '../pages/frame.ts'
import { passkeyScript } from '../pages/passkey-script.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** /account/security/passkeys: adds, renames and removes a passkey, each after a fresh one. */
const securityPasskeys: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const { ISSUER } = app.settings

  app.get('/account/security/passkeys/new', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await assertMayAdd(request)
    return sendFramed(app, reply, {
      title: 'Add a passkey',
      signedIn,
      section: 'account/security',
      main: html`<form class="card" method="post" action="account/security/passkeys" data-passkey-kind="create" data-passkey-options="account/security/passkeys/options" data-passkey-verify="account/security/passkeys">
!${nameField('Passkey')}
<button data-action="create-passkey">Add a passkey</button>
<noscript><p>A passkey needs JavaScript, which is off in this browser.</p></noscript>
</form>
<p><a href="account/security">Back to Security</a></p>`,
      script: passkeyScript,
    })
  })

  app.post('/account/security/passkeys/options', { schema: { hide: true } }, async (request) => {
    app.ownOrigin.assert(request)
    const { owner } = await assertMayAdd(request)
    return await app.passkeys.registrationOptions(owner.owner_id)
  })

  app.post(
    '/account/security/passkeys',
    { schema: { hide: true, body: Added } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await assertMayAdd(request)
      const { name, passkey } = request.body
      await app.passkeys.register(signedIn.owner.owner_id, readName(name), passkey)
      await app.sessions.prove(signedIn, 'passkey')
      return reply.redirect(`${ISSUER}/account/security?done=added`, 303)
    },
  )

  app.get(
    '/account/security/passkeys/:credential_id',
    { schema: { hide: true, params: CredentialId } },
    async (request, reply) => {
      const { signedIn, passkey } = await findOwn(request, request.params.credential_id)
      const { credential_id } = passkey
      const isLost = passkey.rp_id !== app.passkeys.rp_id
      const others = await app.passkeys.listUsable(signedIn.owner.owner_id)
      const hasMail = app.mailCodes.works && signedIn.owner.mail_sign_in
      const isLast = !isLost && !hasMail && others.length === 1
      return sendFramed(app, reply, {
        title: 'Change a passkey',
        signedIn,
        section: 'account/security',
        main: html`<form class="card" method="post" action="account/security/passkeys/${credential_id}/rename">
!${nameField(shownName(passkey.name))}
<button data-action="rename-passkey">Rename</button>
</form>
<form class="card" method="post" action="account/security/passkeys/${credential_id}/remove">
<h2>Remove it</h2>
<p>It no longer signs you in. On your device it stays until you remove it there too.</p>
!${
          isLast
            ? html`<p class="caution">This is the last way in to your account. Without it you cannot sign in until whoever runs this server sends you a new invitation.</p>
<p><label class="choice"><input type="checkbox" name="even_if_last" value="yes" required> <span>Remove it all the same</span></label></p>`
            : ''
        }
<button class="danger" data-action="remove-passkey">Remove this passkey</button>
</form>
<p><a href="account/security">Back to Security</a></p>`,
      })
    },
  )

  app.post(
    '/account/security/passkeys/:credential_id/rename',
    { schema: { hide: true, params: CredentialId, body: Named } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { signedIn, passkey } = await findOwn(request, request.params.credential_id)
      const name = readName(request.body.name)
      await app.store.passkeys.rename(signedIn.owner.owner_id, passkey.credential_id, name)
      return reply.redirect(`${ISSUER}/account/security?done=renamed`, 303)
    },
  )

  app.post(
    '/account/security/passkeys/:credential_id/remove',
    { schema: { hide: true, params: CredentialId, body: Removed } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { signedIn, passkey } = await findOwn(request, request.params.credential_id)
      const { owner_id } = signedIn.owner
      await app.owners.removePasskey(owner_id, passkey.credential_id, {
        by: owner_id,
        address: request.ip,
        even_if_last: request.body?.even_if_last === 'yes',
      })
      return reply.redirect(`${ISSUER}/account/security?done=removed`, 303)
    },
  )

  /** Who has a passkey adds another after a fresh one, anybody else after a fresh sign-in. */
  async function assertMayAdd(request: Parameters<typeof app.sessions.assertOwner>[0]) {
    const signedIn = await app.sessions.assertOwner(request)
    const usable = await app.passkeys.listUsable(signedIn.owner.owner_id)
    app.sessions.assertFresh(signedIn, usable.length > 0)
    return signedIn
  }

  /** Another owner's passkey is no different from one that is not there. */
  async function findOwn(
    request: Parameters<typeof app.sessions.assertOwner>[0],
    credential_id: string,
  ) {
    const signedIn = await app.sessions.assertOwner(request)
    app.sessions.assertFreshPasskey(signedIn)
    const passkeys = await app.store.passkeys.listOfOwner(signedIn.owner.owner_id)
    const passkey = passkeys.find((each) => each.credential_id === credential_id)
    if (passkey === undefined) throw new OAuthError('not_found', 'There is no such passkey')
    return { signedIn, passkey }
  }
}

const CredentialId = Type.Object({ credential_id: Type.String({ maxLength: 1400 }) })
const Name = Type.String({ maxLength: 1024 })
const Named = Type.Object({ name: Name })
const Added = Type.Object({ name: Name, passkey: Type.Optional(Type.String()) })
const Removed = Type.Optional(Type.Object({ even_if_last: Type.Optional(Type.Literal('yes')) }))

function readName(text: string): string {
  const name = normalName(text)
  if (name !== undefined) return name
  throw new OAuthError('invalid_request', `The name of the passkey ${NAME_RULE}`)
}

function nameField(name: string): string {
  return html`<div class="field"><label for="name">What you call it <span class="hint">such as Laptop or Telephone</span></label>
<input id="name" name="name" value="${name}" maxlength="80" required autocomplete="off"></div>`
}

export default fp(securityPasskeys, {
  name: 'account/security-passkeys',
  encapsulate: true,
  decorators: {
    fastify: ['mailCodes', 'ownOrigin', 'owners', 'passkeys', 'sessions', 'settings', 'store'],
  },
})
