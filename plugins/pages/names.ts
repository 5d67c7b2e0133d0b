import { html } from 'ghtml'
import { quoteName, shownName } from '../../schemas/name.ts'
import type { Agent, Client } from '../core/core.ts'

/** What an agent is called by its owner: its name, or else its identifier. */
export function agentName({ name, agent_id }: Pick<Agent, 'name' | 'agent_id'>): string {
  return name === null ? agent_id : shownName(name)
}

/** A website by its name: as the operator named it, or as it calls itself. */
export function websiteName({
  origin,
  client_name,
}: Pick<Client, 'origin' | 'client_name'>): string {
  return origin === 'operator'
    ? html`<bdi>${shownName(client_name)}</bdi>`
    : html`calls itself <bdi>${quoteName(client_name)}</bdi>`
}
