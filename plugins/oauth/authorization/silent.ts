import type { FastifyInstance, FastifyRequest } from 'fastify'
import { OAuthError } from '../../core/http/errors.ts'
import type { SignedIn } from '../../core/persons/sessions.ts'
import { storedResources } from '../../core/registry/resources.ts'
import type { CheckedRequest, Site } from './checks.ts'

type App = Pick<FastifyInstance, 'clock' | 'consents' | 'sessions' | 'settings' | 'store'>

/** What lets a request go on without a page. */
export interface Silent {
  signedIn: SignedIn
  consent: NonNullable<Awaited<ReturnType<FastifyInstance['consents']['findSilent']>>>
}

/**
 * Whether a request goes on without a page: the person is signed in in this browser, recently enough
 * for `max_age`, and has consented to all of it before (OpenID Connect Core section 3.1.2.1). Every
 * other request waits for an agent or a person.
 * @throws {OAuthError} login_required, consent_required or interaction_required with `prompt=none`
 *   (section 3.1.2.6)
 */
export async function findSilent(
  app: App,
  request: Pick<FastifyRequest, 'headers'>,
  site: Site,
  checked: CheckedRequest,
): Promise<Silent | undefined> {
  const { prompt } = checked
  const isNone = prompt.includes('none')
  if (!isNone && prompt.length > 0) return undefined
  try {
    return await assertSilent(app, request, site, checked)
  } catch (error) {
    if (isNone || !(error instanceof OAuthError) || !NEEDS_A_PAGE.includes(error.code)) throw error
    return undefined
  }
}

const NEEDS_A_PAGE = ['login_required', 'consent_required', 'interaction_required']

async function assertSilent(
  app: App,
  request: Pick<FastifyRequest, 'headers'>,
  { client, redirect_uri }: Site,
  { target, hinted_sub, max_age }: CheckedRequest,
): Promise<Silent> {
  const signedIn = await app.sessions.find(request)
  if (signedIn === undefined || signedIn.session.passkey_at === null) {
    throw new OAuthError(
      'login_required',
      'No person is signed in in this browser with a passkey, and an agent always has to act',
    )
  }
  const age = app.clock.now() - signedIn.session.authenticated_at
  if (max_age !== undefined && (max_age === 0 || age > max_age || age < 0)) {
    throw new OAuthError('login_required', 'The person signed in longer ago than max_age')
  }
  if (hinted_sub !== null && !(await isOf(app, hinted_sub, signedIn))) {
    throw new OAuthError('login_required', 'Somebody else than in the id_token_hint is signed in')
  }
  if (!app.consents.mayBeSilent(client, redirect_uri)) {
    throw new OAuthError(
      'interaction_required',
      'This client does not prove who it is, so that a person has to consent each time',
    )
  }
  const { client_id } = client
  const resources = storedResources(target, app.settings)
  const resource = resources.length === 0 ? null : JSON.stringify(resources)
  const asked = { client_id, redirect_uri, scope: target.scope, resource, hinted_sub }
  const consent = await app.consents.findSilent(asked, client, signedIn)
  if (consent !== undefined) return { signedIn, consent }
  throw new OAuthError('consent_required', 'The person has not consented to all of this before')
}

/** Whether a subject is the person who is signed in, or an agent of that person. */
async function isOf(
  app: Pick<FastifyInstance, 'store'>,
  sub: string,
  { owner: { owner_id } }: SignedIn,
): Promise<boolean> {
  return sub === owner_id || (await app.store.agents.find(sub))?.owner_id === owner_id
}
