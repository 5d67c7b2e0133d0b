import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { quoteName, shownName } from '../../schemas/name.ts'
import type { DayOfSignIns } from '../core/audit/overview.ts'
import { barChart, chartPatterns, chartStyle, stackedChart } from '../pages/chart.ts'
import { pathOf } from '../pages/console-list.ts'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const DAY = 86_400
/** How many websites and models have a bar of their own. */
const BARS = 8
/** A key that is succeeded within so many seconds is worth a look. */
const KEY_SOON = 7 * DAY

/** GET /console: what happens on this server, and what needs the operator. */
const overview: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.get('/console', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOperator(request)
    const [days, living, attention, clients, agents, owners] = await Promise.all([
      app.overview.listDays(),
      app.overview.countLiving(),
      findAttention(),
      app.store.clients.count(),
      app.store.agents.count(),
      app.store.owners.count(),
    ])
    const places = days.map(({ day }) => new Date(day * 1000).toISOString().slice(0, 10))
    const counted = [
      ['Sign-ins that are alive', living.alive, 'console/history?event=sign_in'],
      ['Of these, with a refresh token', living.refreshable, 'console/history?event=refresh'],
      ['Websites', clients.all, 'console/websites'],
      ['Agents', agents.all, 'console/agents'],
      ['Owners', owners.all, 'console/owners'],
    ] as const
    return sendFramed(app, reply, {
      title: 'Console',
      signedIn,
      section: 'console',
      style: chartStyle + style,
      main: html`<h2 class="title">Needs attention</h2>
!${attention.length === 0 ? '<p>Nothing.</p>' : html`<ul>!${attention.map((each) => `<li>${each}</li>`).join('\n')}</ul>`}
<ul class="figures">!${counted.map(([what, count, path]) => html`<li><a href="${path}"><strong>${count}</strong> <span>${what}</span></a></li>`).join('')}</ul>
<h2>The last ${days.length} days</h2>
<p class="quiet">Days are in UTC. What was counted of today may be a minute old.</p>
!${chartPatterns}!${stackedChart('Sign-ins a day by outcome', places, toSeries(days))}
!${barChart('Refusals by reason', 'Reason', toRefusals(days))}
!${barChart('Sign-ins by website', 'Website', await nameSites(sum(days, 'sites')))}
!${barChart(
        'Sign-ins by model',
        'Model',
        withOthers(sum(days, 'models')).map(([what, count]) => ({
          label:
            what === null || what === '' ? 'not named' : what === OTHERS ? what : quoteName(what),
          count,
        })),
      )}
<h2>This server</h2><section class="card"><dl>!${await stateRows()}</dl></section>`,
    })
  })

  /** What an operator had better do something about, each a sentence. */
  async function findAttention(): Promise<string[]> {
    const { clock, passkeys, settings, store } = app
    const found: string[] = []
    if (app.owners.obstacle !== undefined) found.push(html`${app.owners.obstacle}.`)
    const open = await app.approvals.listOpen()
    if (open.length > 0) {
      found.push(
        `${open.length === 1 ? 'One sign-in waits' : `${open.length} sign-ins wait`} for the approval of an owner, in the account or on the command line.`,
      )
    }
    if (settings.SMTP_URL === undefined) {
      found.push(
        'Mail is not set: owners are asked for approvals in their account alone. Set <code>SMTP_URL</code> and <code>MAIL_FROM</code>.',
      )
    }
    if (!settings.ISSUER.startsWith('https:')) {
      found.push('The issuer is not https: nobody but people on this computer should use it.')
    }
    if (passkeys.works) {
      for (const each of await store.owners.listOperators(passkeys.rp_id)) {
        if (each.passkeys > 1 || each.disabled_at !== null) continue
        const which = each.passkeys === 0 ? 'has no passkey' : 'has only one passkey'
        found.push(
          html`The operator <a href="${pathOf('owners', each.owner_id)}"><bdi>${each.email}</bdi></a> ${which}: a second one keeps the console open if the first is lost.`,
        )
      }
    }
    for (const [noun, what, counted] of [
      ['websites', 'website', await store.clients.count()],
      ['agents', 'agent', await store.agents.count()],
      ['owners', 'owner', await store.owners.count()],
    ] as const) {
      const { disabled } = counted
      if (disabled === 0) continue
      const them = disabled === 1 ? `One ${what} is` : `${disabled} ${noun} are`
      found.push(`<a href="console/${noun}">${them} disabled</a>.`)
    }
    const now = clock.now()
    for (const { kid, alg, active_from, remove_at } of await app.keys.list()) {
      const due = active_from + settings.SIGNING_KEY_TTL
      if (remove_at === null && due - now < KEY_SOON && settings.SIGNING_KEY_TTL > KEY_SOON) {
        found.push(
          html`The <a href="console/keys">${alg} key</a> <code>${kid}</code> is succeeded by a new one at !${timeElement(due)}: see that verifiers read the key set, not a copy.`,
        )
      }
    }
    return found
  }

  async function nameSites(sites: Map<string | null, number>) {
    const bars: { label: string; count: number }[] = []
    for (const [what, count] of withOthers(sites)) {
      const client = what === null ? undefined : await app.store.clients.find(what)
      const name = client && (client.origin === 'operator' ? shownName : quoteName)
      bars.push({ label: client && name ? name(client.client_name) : (what ?? 'none'), count })
    }
    return bars
  }

  async function stateRows(): Promise<string> {
    const ready = await app.store.readiness(app.clock.now())
    const keys = await app.keys.list()
    const newest = keys.findLast(({ remove_at }) => remove_at === null)
    const rows: [string, string][] = [
      ['Issuer', html`<code>${app.settings.ISSUER}</code>`],
      [
        'Database',
        ready.outcome === 'ready'
          ? '<span class="tag good">can be written</span>'
          : html`<span class="tag bad">${ready.reason}</span>`,
      ],
      [
        'Mail',
        app.settings.SMTP_URL === undefined
          ? '<span class="tag">not set</span>'
          : '<span class="tag good">set</span>',
      ],
      [
        'Keys',
        html`<a href="console/keys">${keys.length} in the key set</a>!${newest === undefined ? '' : html`, the newest from !${timeElement(newest.created_at)}`}`,
      ],
      ['Passkeys', app.passkeys.works ? 'work here' : 'cannot be used: the issuer is an address'],
    ]
    return rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>!${value}</dd></div>`).join('')
  }
}

const OTHERS = 'all others'

/** How outcomes are told apart in the picture; the reasons have a picture of their own. */
function toSeries(days: DayOfSignIns[]) {
  const count = ({ outcomes }: DayOfSignIns, granted: boolean) =>
    outcomes
      .filter(({ what }) => (what === 'granted') === granted)
      .reduce((all, { count }) => all + count, 0)
  return [
    { label: 'granted', counts: days.map((day) => count(day, true)) },
    { label: 'refused', counts: days.map((day) => count(day, false)) },
  ]
}

function toRefusals(days: DayOfSignIns[]) {
  return [...sum(days, 'outcomes')]
    .filter(([what]) => what !== 'granted')
    .map(([what, count]) => ({ label: REASONS[what ?? ''] ?? what ?? '', count }))
}

const REASONS: Record<string, string> = {
  access_denied: 'not allowed by policy or owner',
  invalid_credentials: 'wrong secret or key',
  invalid_grant: 'wrong approval code',
}

/** How often in all days, the most first. */
function sum(
  days: DayOfSignIns[],
  kind: 'outcomes' | 'sites' | 'models',
): Map<string | null, number> {
  const sums = new Map<string | null, number>()
  for (const day of days) {
    for (const { what, count } of day[kind]) sums.set(what, (sums.get(what) ?? 0) + count)
  }
  return new Map([...sums].sort(([, one], [, other]) => other - one))
}

/** The first ones, and the sum of the rest. */
function withOthers(sums: Map<string | null, number>): [what: string | null, count: number][] {
  const all = [...sums]
  const rest = all.slice(BARS).reduce((total, [, count]) => total + count, 0)
  return rest === 0 ? all : [...all.slice(0, BARS), [OTHERS, rest]]
}

const style = `
.figures { display: flex; flex-wrap: wrap; gap: .8rem; list-style: none; margin: 1.2rem 0; padding: 0; }
.figures li { flex: 1 1 9rem; }
.figures a { display: block; height: 100%; padding: .8rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .8rem; color: var(--text); text-decoration: none; }
.figures a:hover { border-color: var(--accent); }
.figures strong { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.figures span { color: var(--quiet); font-size: .9rem; }
`

export default fp(overview, {
  name: 'console/console',
  encapsulate: true,
  decorators: {
    fastify: [
      'approvals',
      'clock',
      'keys',
      'overview',
      'owners',
      'passkeys',
      'sessions',
      'settings',
      'store',
    ],
  },
})
