import { html } from 'ghtml'
import { quoteName } from '../../schemas/name.ts'
import type { PlacedEvent } from '../core/core.ts'
import { EVENTS } from './history.ts'
import { toQuery } from './pager.ts'
import { timeElement } from './time.ts'

/** One of the values of a filter. */
export function option(value: string, label: string, chosen: string | undefined): string {
  return html`<option value="${value}"!${value === (chosen ?? '') ? ' selected' : ''}>${label}</option>`
}

/** The filter by the kind of event. */
export function kindFilter(event: string | undefined): string {
  const kinds = Object.entries(EVENTS).map(([kind, label]) => option(kind, label, event))
  return html`<div><label for="event">What</label><select id="event" name="event">!${option('', 'Everything', event)}!${kinds.join('')}</select></div>`
}

/** The filter by a text. */
export function textFilter(name: string, label: string, value: string | undefined): string {
  return html`<div><label for="${name}">${label}</label><input id="${name}" name="${name}" value="${value ?? ''}" autocomplete="off" spellcheck="false"></div>`
}

/** The filter by days, with their zone. */
export function dayFilters(from: string | undefined, to: string | undefined): string {
  const day = (name: string, label: string, value = '') =>
    html`<div><label for="${name}">${label}</label><input type="date" id="${name}" name="${name}" value="${value}"></div>`
  return `${day('from', 'From (day in UTC)', from)}${day('to', 'Up to and with (day in UTC)', to)}`
}

/**
 * Events, the newest first.
 * @param path the page that shows those of one website
 * @param names what agents and websites are called, by their identifiers
 */
export function eventList(path: string, events: PlacedEvent[], names: Map<string, string>): string {
  return html`<ol class="plain">!${events.map((event) => item(path, event, names)).join('\n')}</ol>`
}

function item(path: string, event: PlacedEvent, names: Map<string, string>): string {
  const { at, outcome, agent_id, client_id, model, address, detail, owner_id } = event
  const agent = agent_id === null ? '' : html`<bdi>${names.get(agent_id) ?? agent_id}</bdi>`
  const website =
    client_id === null
      ? ''
      : html`<a href="${path}?${toQuery({ client_id })}"><bdi>${names.get(client_id) ?? client_id}</bdi></a>`
  const who = [agent, website].filter((text) => text !== '').join(' at ')
  const by = owner_id === null ? '' : ' <span class="tag">done by an owner</span>'
  const details = [
    model === null || model === '' ? '' : `Model: ${quoteName(model)}`,
    address === null ? '' : `From: ${address}`,
    ...(detail ?? '').split(' | '),
  ].filter((text) => text !== '')
  const more =
    details.length === 0
      ? ''
      : html`<details><summary>Details</summary><ul class="plain">!${details.map((text) => html`<li><bdi>${text}</bdi></li>`).join('')}</ul></details>`
  return html`<li class="event"><span class="quiet">!${timeElement(at)}</span> <strong>${EVENTS[event.event]}: ${outcome.replaceAll('_', ' ')}</strong>!${by}<br>!${who}!${more}</li>`
}
