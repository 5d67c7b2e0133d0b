import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { html } from 'ghtml'
import { issuerPath } from '../core/http/issuer-path.ts'
import type { SignedIn } from '../core/persons/sessions.ts'
import { palette } from './layout.ts'

/** A page of the account or the console, or of the sign-in to them. */
export interface FramedPage {
  title: string
  /** The page's own part, as it is. */
  main: string
  /** Who is signed in: gives the page its navigation. */
  signedIn?: SignedIn
  /** The navigation's entry that this page belongs to. */
  section?: Section
  /** A sentence about what was just done. */
  notice?: string | undefined
  /** Rules for what only this page has, as they are. */
  style?: string
  /** A module that the page runs, as it is. */
  script?: string
}

/** The entries of the navigation: the account's, then the console's. */
const ACCOUNT = {
  account: 'Overview',
  'account/agents': 'Agents',
  'account/sign-ins': 'Signed in',
  'account/approvals': 'Approvals',
  'account/history': 'History',
  'account/security': 'Security',
  'account/data': 'Your data',
} as const
const CONSOLE = {
  console: 'Overview',
  'console/websites': 'Websites',
  'console/agents': 'Agents',
  'console/owners': 'Owners',
  'console/resources': 'APIs',
  'console/tokens': 'Registration tokens',
  'console/keys': 'Keys',
  'console/limits': 'Limits',
  'console/history': 'Audit trail',
} as const
export type Section = keyof typeof ACCOUNT | keyof typeof CONSOLE

/**
 * Sends a page. Links and forms in it are relative to the issuer (`<base>`), so that they are right
 * behind an issuer with a path. Forms go to this server alone, and name their own origin when they do
 * (`no-referrer` would make it `null`).
 */
export function sendFramed(
  app: Pick<FastifyInstance, 'settings'>,
  reply: FastifyReply,
  page: FramedPage,
): FastifyReply {
  const nonce = randomBytes(16).toString('base64')
  const base = `${issuerPath(app.settings.ISSUER)}/`
  return reply
    .headers({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': [
        "default-src 'none'",
        `script-src 'nonce-${nonce}'`,
        `style-src 'nonce-${nonce}'`,
        "connect-src 'self'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
      ].join('; '),
      'referrer-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
    .send(frame(page, { nonce, base, here: base + reply.request.url.slice(1) }))
}

function frame(
  { title, main, signedIn, section, notice, style: own = '', script }: FramedPage,
  { nonce, base, here }: { nonce: string; base: string; here: string },
): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<base href="${base}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>${title} · Auth Agent</title>
<style nonce="${nonce}">!${palette}!${style}!${own}</style>
</head>
<body>
<a class="skip" href="${here}#main">Skip to the content</a>
<header>
<a class="brand" href="${signedIn === undefined ? './' : 'account'}">Auth Agent</a>
!${signedIn === undefined ? '' : whoIsHere(signedIn)}
</header>
<div class="columns">
!${signedIn === undefined ? '' : navigation(signedIn, section)}
<main id="main" tabindex="-1"!${signedIn === undefined ? ' class="narrow"' : ''}>
<h1>${title}</h1>
!${notice === undefined ? '' : html`<p class="notice" role="status">${notice}</p>`}
!${main}
</main>
</div>
!${script === undefined ? '' : `<script type="module" nonce="${nonce}">${script}</script>`}
</body>
</html>
`
}

function whoIsHere({ owner }: SignedIn): string {
  return html`<form method="post" action="account/sign-out"><span class="who">${owner.email}</span>
<button class="plain" data-action="sign-out">Sign out</button></form>`
}

function navigation({ owner }: SignedIn, section: Section | undefined): string {
  const list = (title: string, entries: Record<string, string>) =>
    html`<section><h2>${title}</h2><ul>!${Object.entries(entries)
      .map(
        ([path, label]) =>
          html`<li><a href="${path}"!${path === section ? ' aria-current="page"' : ''}>${label}</a></li>`,
      )
      .join('')}</ul></section>`
  return html`<nav aria-label="Pages">!${list('Account', ACCOUNT)}!${owner.operator ? list('Console', CONSOLE) : ''}</nav>`
}

const style = `
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; color: var(--text); background: var(--ground); }
a { color: var(--accent); }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; z-index: 1; }
body > header {
  display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between;
  padding: .8rem clamp(1rem, 4vw, 2rem); background: var(--card); border-bottom: 1px solid var(--line);
}
.brand { font-weight: 700; color: var(--text); text-decoration: none; letter-spacing: -.01em; }
body > header form { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center; margin: 0; }
.who { color: var(--quiet); overflow-wrap: anywhere; font-size: .94rem; }
.columns { display: flex; gap: clamp(1rem, 3vw, 2.5rem); max-width: 76rem; margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 2rem) 3rem; align-items: flex-start; }
nav { flex: 0 0 11rem; font-size: .96rem; }
nav h2 { margin: 0 0 .3rem; font-size: .8rem; font-weight: 600; color: var(--quiet); }
nav section + section { margin-top: 1.3rem; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .3rem .7rem; margin-left: -.7rem; border-radius: .5rem; color: var(--text); text-decoration: none; }
nav a:hover { background: var(--line); }
nav a[aria-current] { background: var(--card); box-shadow: inset 0 0 0 1px var(--line); font-weight: 600; }
main { flex: 1 1 auto; min-width: 0; outline: none; overflow-wrap: anywhere; }
h1 { margin: 0 0 1.2rem; font-size: clamp(1.4rem, 5vw, 1.75rem); line-height: 1.25; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .7rem; line-height: 1.3; }
h2.title { margin: 0 0 .4rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: 0 0 .8rem; max-width: 44rem; }
.quiet { color: var(--quiet); }
.card { padding: 1.1rem 1.25rem; margin: 0 0 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .8rem; overflow-wrap: anywhere; }
.card > :first-child, .card > h2:first-of-type { margin-top: 0; }
ul.plain { list-style: none; margin: 0 0 .8rem; padding: 0; }
ul.plain li { padding: .25rem 0; overflow-wrap: anywhere; }
ol.plain { list-style: none; margin: 0 0 1rem; padding: 0; }
.event { padding: .7rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
summary { width: fit-content; cursor: pointer; color: var(--quiet); }
label.choice input { flex: none; }
pre { margin: 0 0 1rem; overflow-x: auto; font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.filters { display: flex; flex-wrap: wrap; gap: .8rem 1rem; align-items: end; }
.filters > div { flex: 1 1 12rem; min-width: 0; margin: 0; }
.card > :first-child { margin-top: 0; }
.card > :last-child { margin-bottom: 0; }
.narrow { max-width: 34rem; margin-inline: auto; }
.notice { padding: .7rem 1rem; border-radius: .6rem; border: 1px solid var(--good); color: var(--good); background: var(--card); max-width: none; }
.caution { padding: .8rem 1rem; border-radius: .6rem; color: var(--caution-text); background: var(--caution); border: 1px solid currentColor; max-width: none; }
.error { padding: .7rem 1rem; border-radius: .6rem; border: 1px solid var(--bad); color: var(--bad); background: var(--card); max-width: none; }
.scroll { overflow-x: auto; margin: 0 0 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .8rem; }
table { width: 100%; border-collapse: collapse; font-size: .94rem; }
th, td { padding: .55rem .9rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); overflow-wrap: break-word; }
thead th { border-top: 0; color: var(--quiet); font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
dl { margin: 0 0 1rem; }
dl div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .25rem 0; }
dt { flex: 0 0 10rem; color: var(--quiet); }
dd { flex: 1 1 14rem; min-width: 0; margin: 0; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.secret { display: block; padding: .8rem 1rem; user-select: all; background: var(--ground); border: 1px dashed var(--line); border-radius: .6rem; }
label { display: block; font-weight: 600; margin: 0 0 .25rem; }
label.choice { display: flex; gap: .6rem; align-items: baseline; font-weight: 400; }
.field { margin: 0 0 1rem; }
.hint { display: block; color: var(--quiet); font-size: .9rem; font-weight: 400; }
fieldset { border: 0; padding: 0; margin: 0 0 1rem; min-width: 0; }
legend { font-weight: 600; padding: 0; margin-bottom: .3rem; }
input:not([type=checkbox], [type=radio]), select, textarea {
  width: 100%; max-width: 30rem; padding: .5rem .7rem; font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--quiet); border-radius: .5rem;
}
input[type=checkbox], input[type=radio] { flex: none; accent-color: var(--accent); width: 1.05rem; height: 1.05rem; }
button, .button {
  display: inline-block; padding: .5rem 1rem; font: inherit; font-weight: 600; cursor: pointer; text-decoration: none;
  color: var(--card); background: var(--accent); border: 1px solid transparent; border-radius: .55rem;
  overflow-wrap: break-word;
}
button.quiet, .button.quiet { color: var(--accent); background: transparent; border-color: var(--line); }
button.danger, .button.danger { color: var(--bad); background: transparent; border-color: currentColor; }
button.plain { color: var(--accent); background: none; padding: .2rem .3rem; font-weight: 500; }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0 0; max-width: none; }
.actions form { margin: 0; }
.actions + .card { margin-top: 1rem; }
ul.rows li { padding: .6rem 0; }
ul.rows li + li { border-top: 1px solid var(--line); }
.tag { display: inline-block; padding: .05rem .5rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .85rem; color: var(--quiet); white-space: nowrap; }
.tag.good { color: var(--good); border-color: currentColor; }
.tag.bad { color: var(--bad); border-color: currentColor; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .3rem; }
[hidden] { display: none !important; }
@media (max-width: 50rem) {
  .columns { flex-direction: column; align-items: stretch; }
  nav { flex: none; width: 100%; }
  nav ul { display: flex; flex-wrap: wrap; gap: .1rem .4rem; }
  nav a { margin-left: 0; }
  dt { flex-basis: 100%; }
}
`
