import { html } from 'ghtml'
import { redirectHost } from '../../schemas/client.ts'
import { quoteName } from '../../schemas/name.ts'
import { describeScope, isLoopbackHost, VOUCHERS } from '../core/audit/sign-in-lines.ts'
import type { Agent, Client, Grant } from '../core/core.ts'
import { agentName, websiteName } from './names.ts'
import { timeElement } from './time.ts'

/** Where a website's sign-ins lead, in a person's words. */
export function hostsOf({ redirect_uris }: Pick<Client, 'redirect_uris'>): string {
  const hosts = [...new Set(redirect_uris.map(redirectHost))]
  const words = hosts.map((host) =>
    isLoopbackHost(host) ? `${host}, a program on a computer` : host,
  )
  return words.join('; ')
}

/** A living sign-in: where, by which agent, since when, with what. */
export function signInFacts(grant: Grant, client: Client, agent: Agent): string {
  const { agent_id, created_at, refreshed_at, model, scope, resource } = grant
  const apis: string[] = resource === null ? [] : JSON.parse(resource)
  const rows: [string, string][] = [
    ['Leads to', html`<strong>${hostsOf(client)}</strong>`],
    ['Vouched for by', html`${VOUCHERS[client.origin]}`],
    ['Agent', html`<a href="account/agents/${agent_id}"><bdi>${agentName(agent)}</bdi></a>`],
    ['Since', timeElement(created_at)],
    ['Last refreshed', refreshed_at === null ? 'never' : timeElement(refreshed_at)],
    ['Model', model === '' ? 'none' : html`calls itself <bdi>${quoteName(model)}</bdi>`],
    ['It gets', html`${describeScope(scope)}`],
    ['Gives access to', apis.length === 0 ? 'no API' : html`${apis.join(', ')}`],
  ]
  return html`<h2 class="title">!${websiteName(client)}</h2>
<dl>!${rows.map(([label, text]) => html`<div><dt>${label}</dt><dd>!${text}</dd></div>`).join('\n')}</dl>`
}
