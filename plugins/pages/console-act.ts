import type { FastifyInstance } from 'fastify'
import { html } from 'ghtml'
import type { NewEvent } from '../core/audit/audit.ts'
import { OAuthError } from '../core/http/errors.ts'
import type { SecretRotation } from '../core/registry/registration.ts'
import { pathOf } from './console-list.ts'
import { FieldSet, type Form, numberOrNull, yesOrNo } from './fields.ts'
import { type FramedPage, type Section, sendFramed } from './frame.ts'

/** What an operator's act ended with. */
export interface ConsoleOutcome {
  /** The page to go on to, relative to the issuer. */
  to?: string
  /** Or the page that alone shows what was made. */
  page?: Pick<FramedPage, 'title' | 'main' | 'notice'>
  /** For the audit trail, where the act does not record itself. */
  event?: NewEvent
}

/** Who acts. */
export interface ConsoleActor {
  owner_id: string
  address: string
}

/** What an operator does on a page of its own: it asks first, and its form does it. */
export interface ConsoleAct<Subject> {
  path: string
  section: Section
  /** @throws {OAuthError} not_found */
  find(params: Record<string, string>): Promise<Subject>
  ask(
    subject: Subject,
  ): Pick<FramedPage, 'title' | 'main'> | Promise<Pick<FramedPage, 'title' | 'main'>>
  act(subject: Subject, form: Form, actor: ConsoleActor): Promise<ConsoleOutcome>
}

const Texts = { type: 'object', additionalProperties: { type: 'string' } }

/** Abilities that every page of the console needs. */
export const CONSOLE_NEEDS = ['audit', 'ownOrigin', 'sessions', 'settings', 'store']

/**
 * Serves the page that asks, and the POST of its form: for operators alone, with a fresh passkey, from a
 * page of this server. What is done is recorded with who did it.
 */
export function serveAct<Subject>(
  app: Pick<FastifyInstance, 'audit' | 'get' | 'ownOrigin' | 'post' | 'sessions' | 'settings'>,
  { path, section, find, ask, act }: ConsoleAct<Subject>,
): void {
  app.get<{ Params: Record<string, string> }>(
    path,
    { schema: { hide: true, params: Texts } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const subject = await find(request.params)
      app.sessions.assertFreshPasskey(signedIn)
      return sendFramed(app, reply, { signedIn, section, ...(await ask(subject)) })
    },
  )

  app.post<{ Params: Record<string, string>; Body: Form }>(
    path,
    { schema: { hide: true, params: Texts, body: Texts } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOperator(request)
      const subject = await find(request.params)
      app.sessions.assertFreshPasskey(signedIn)
      const { owner_id } = signedIn.owner
      const actor = { owner_id, address: request.ip }
      const { to, page, event } = await act(subject, request.body, actor)
      if (event !== undefined) await app.audit.record({ ...event, ...actor })
      if (page !== undefined) return sendFramed(app, reply, { signedIn, section, ...page })
      return reply.redirect(`${app.settings.ISSUER}/${to ?? section}`, 303)
    },
  )
}

/** A noun of the console, each of which has a page of its own. */
export interface ConsoleNoun<Subject> {
  /** The part of the path that all have in common. */
  noun: string
  section: Section
  find: ConsoleAct<Subject>['find']
  idOf(subject: Subject): string
  nameOf(subject: Subject): string
  /** What the audit trail says of it, where an act does not record itself. */
  toEvent(subject: Subject, outcome: string, detail?: string): NewEvent
}

/** What an operator can do with one of a noun. */
export interface Deed<Subject> {
  /** Begins the title, before the name. */
  verb: string
  ask(subject: Subject): Asked | Promise<Asked>
  act(subject: Subject, form: Form, actor: ConsoleActor): Promise<Did>
}

interface Asked {
  /** What the form asks, as it is. */
  main: string
  button: string
  danger?: boolean
}

/** What was done, and where to go on: to the page of the subject, unless said otherwise. */
interface Did {
  /** The word of the notice there. */
  done?: string
  to?: string
  /** What is shown once, and what it is. */
  secret?: [what: string, secret: string]
  /** The event, where the act does not record itself. */
  outcome?: string
  detail?: string
}

/** Serves `/console/NOUN/:id/WORD`. */
export function serveDeed<Subject>(
  app: Parameters<typeof serveAct>[0],
  { noun, section, find, idOf, nameOf, toEvent }: ConsoleNoun<Subject>,
  word: string,
  { verb, ask, act }: Deed<Subject>,
): void {
  serveAct<Subject>(app, {
    path: `/console/${noun}/:id/${word}`,
    section,
    find,
    async ask(subject) {
      const back = pathOf(noun, idOf(subject))
      const form = actForm({ ...(await ask(subject)), path: `${back}/${word}`, action: word, back })
      return { title: `${verb} ${nameOf(subject)}`, main: form }
    },
    async act(subject, form, actor) {
      const { done = '', to, secret, outcome, detail } = await act(subject, form, actor)
      const event = outcome === undefined ? {} : { event: toEvent(subject, outcome, detail) }
      const back = pathOf(noun, idOf(subject))
      if (secret === undefined) return { to: to ?? `${back}?done=${done}`, ...event }
      return { ...event, page: secretPage(nameOf(subject), secret, back) }
    },
  })
}

/** The page that alone shows what was made. */
export function secretPage(title: string, [what, secret]: [string, string], on: string) {
  return {
    title,
    main: html`!${secretOnce(what, secret)}
<p class="actions"><a class="button" href="${on}">Go on</a></p>`,
  }
}

interface ActForm {
  path: string
  /** What the form asks, as it is. */
  main: string
  button: string
  action: string
  danger?: boolean
  back: string
}

/** A form that asks before something is done. */
export function actForm({ path, main, button, action, danger = false, back }: ActForm): string {
  return html`<form class="card" method="post" action="${path}">!${main}
<div class="actions"><button!${danger ? ' class="danger"' : ''} data-action="${action}">${button}</button><a class="button quiet" href="${back}">Cancel</a></div></form>`
}

/** A secret, on the only page that ever has it. */
export function secretOnce(what: string, secret: string): string {
  return html`<p class="caution">Keep it now: it is not shown again, and nobody can look it up.</p>
<h2>${what}</h2><p><code class="secret">${secret}</code></p>`
}

const overlapField = numberOrNull('For how many seconds the old secret stays good', 'It ends now', {
  hint: 'Nothing here: it ends now',
  minimum: 0,
  maximum: 315_360_000,
})

/** What becomes of the old secret of an API, which gave access to nothing that could end with it. */
const overlapOnly = new FieldSet<{ overlap: number | null }>({ overlap: overlapField })

export function overlapInputs(): string {
  return html`<p>The new secret is shown once, on the next page.</p>!${overlapOnly.toInputs({ overlap: null })}`
}

/** @throws {OAuthError} invalid_request */
export function readOverlap(form: Form): number {
  return overlapOnly.read(form).overlap ?? 0
}

/** What becomes of the old secret of a website or an agent. */
const rotation = new FieldSet<{ overlap: number | null; compromised: boolean }>({
  overlap: overlapField,
  compromised: yesOrNo(
    'If somebody else may have it',
    'End every sign-in, code and token with the old secret, now',
    'everything ends',
    'sign-ins go on',
  ),
})

export function rotationInputs(): string {
  return html`<p>The new secret is shown once, on the next page.</p>!${rotation.toInputs({ overlap: null, compromised: false })}`
}

/** @throws {OAuthError} invalid_request where both are asked for, as on the command line */
export function readRotation(form: Form): SecretRotation {
  const { overlap, compromised } = rotation.read(form)
  if (overlap !== null && compromised) {
    throw new OAuthError(
      'invalid_request',
      'Either the old secret stays good for a while or everything ends with it',
    )
  }
  return compromised ? { compromised } : { overlap: overlap ?? 0 }
}
