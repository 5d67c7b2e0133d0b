import { html } from 'ghtml'
import { quoteName } from '../../schemas/name.ts'
import type { SignInDescription } from '../../schemas/sign-in-description.ts'
import {
  describeScope,
  describeTime,
  isLoopbackHost,
  RECEIVERS,
  VOUCHERS,
} from '../core/audit/sign-in-lines.ts'

/** How pages show each fact, in this order: at first sight, or to whoever asks for more. */
const rows: {
  [Fact in keyof Required<SignInDescription>]: [
    place: 'first' | 'more',
    label: string,
    write: (facts: SignInDescription) => string | undefined,
  ]
} = {
  redirect_host: [
    'first',
    'Returns to',
    ({ redirect_host }) => html`<strong>${redirect_host}</strong>`,
  ],
  client_host: [
    'first',
    'Asked by',
    ({ client_host }) => client_host && html`<strong>${client_host}</strong>`,
  ],
  apis: [
    'first',
    'Gives access to',
    ({ apis }) => (apis.length === 0 ? undefined : apis.map(describeApi).join(', ')),
  ],
  scope: ['first', 'It gets', ({ scope }) => html`${describeScope(scope)}`],
  client_name: [
    'first',
    'Name',
    ({ client_name }) => html`Calls itself <bdi class="name">${quoteName(client_name)}</bdi>`,
  ],
  client_origin: [
    'more',
    'Vouched for by',
    ({ client_origin }) => html`${VOUCHERS[client_origin]}`,
  ],
  client_id: ['more', 'Client', ({ client_id }) => html`${client_id}`],
  subject: [
    'more',
    'Known there as',
    ({ subject }) => subject && html`The owner, with the agent beside it`,
  ],
  opened_from: ['more', 'Opened from', ({ opened_from }) => opened_from && html`${opened_from}`],
  opened_at: ['more', 'Opened at', ({ opened_at }) => html`${describeTime(opened_at)}`],
  agent_id: ['more', 'Agent', ({ agent_id }) => agent_id && html`${agent_id}`],
  agent_address: [
    'more',
    'Agent came from',
    ({ agent_address }) => agent_address && html`${agent_address}`,
  ],
  delivery: ['more', 'Code goes to', ({ delivery }) => delivery && html`${RECEIVERS[delivery]}`],
  model: ['more', 'Model', ({ model }) => model && html`Calls itself ${quoteName(model)}`],
}

/** The known facts of a part, as rows of a `dl`. */
export function rowsOf(facts: SignInDescription, where: 'first' | 'more'): string {
  return Object.values(rows)
    .flatMap(([place, label, write]) => {
      const text = place === where ? write(facts) : undefined
      return text === undefined ? [] : [html`<div><dt>${label}</dt><dd>!${text}</dd></div>`]
    })
    .join('\n')
}

function describeApi({ uri, name }: SignInDescription['apis'][number]): string {
  return name === undefined ? html`${uri}` : html`${uri} (${quoteName(name)})`
}

/** What a person should know before going on with a sign-in. */
export function cautions(facts: SignInDescription): string {
  const loopback = isLoopbackHost(facts.redirect_host) ? loopbackCaution : ''
  return loopback + (facts.client_origin === 'operator' ? '' : unknownCaution(facts))
}

const loopbackCaution = `<p class="caution">This sign-in returns to a program on this computer, not to a website. Go on only if you started it here yourself.</p>`

/** A name that nobody here has checked is shown beside what is certain. */
function unknownCaution({ client_name, client_host }: SignInDescription): string {
  const certain = client_host === undefined ? '' : `Only that ${client_host} asks is certain. `
  return html`<p class="caution">${certain}Nobody here has checked who that is: it calls itself <bdi>${quoteName(client_name)}</bdi>.</p>`
}
