import { type Command, Option } from 'commander'
import type { Agent } from '../../db/store.ts'
import { addAgentSecurityCommands } from './agent-security.ts'
import { keepNow, Noun } from './noun.ts'
import { facts, print, time, withCore } from './session.ts'

interface CreateOptions {
  email: string
  emailVerified?: true
  name?: string
}

interface UpdateOptions {
  email?: string
  emailVerified?: 'yes' | 'no'
  name?: string
}

export function addAgentCommands(program: Command): void {
  const noun = new Noun<Agent>(program, {
    name: 'agent',
    description: 'the agents that sign in',
    id: 'agent_id',
    kind: 'agent_id',
    list: (app) => app.store.agents.list(),
    delete: (app, id) => app.registration.deleteAgent(id),
    toRow,
    none: 'No agent is registered.',
  })
  addCreate(noun)
  noun.addList('list the registered agents')
  noun.addShow('show one agent', (app, id) => app.store.agents.find(id), describe)
  addUpdate(noun)
  noun.addRotateSecret('agent_secret', ({ registration }, id, options) =>
    registration.rotateAgentSecret(id, options),
  )
  noun.addDisableAndEnable(
    ({ registration }, id, change) => registration.updateAgent(id, change),
    describe,
  )
  noun.addDelete('remove it with its sign-ins, codes and tokens')
  addAgentSecurityCommands(noun)
}

function addCreate(noun: Noun<Agent>): void {
  noun
    .add(
      'create',
      'register an agent; its secret is shown once',
      '--email owner@example.com --name Max',
    )
    .requiredOption('--email <address>', "its owner's e-mail address, which websites are told")
    .option(
      '--email-verified',
      'you vouch that the address belongs to the owner: websites are told so',
    )
    .option('--name <name>', 'what you call it')
    .action(async (options: CreateOptions, command) => {
      const { emailVerified: email_verified, ...rest } = options
      const { agent, agent_secret } = await withCore((app) =>
        app.registration.createAgent({ ...rest, email_verified }),
      )
      print(command, { ...agent, agent_secret }, (created) =>
        describe(created, keepNow('agent_secret')),
      )
    })
}

function addUpdate(noun: Noun<Agent>): void {
  noun
    .addOfOne(
      'update',
      "change the owner's e-mail address or the name",
      '--email new-owner@example.com',
    )
    .option('--email <address>', "its owner's e-mail address")
    .addOption(
      new Option(
        '--email-verified <answer>',
        'whether you vouch that the address belongs to the owner; no after it changes',
      ).choices(['yes', 'no']),
    )
    .option('--name <name>', 'what you call it')
    .action(async (agent_id: string, options: UpdateOptions, command) => {
      if (Object.keys(options).length === 0) {
        command.error('error: nothing to change, give --email, --email-verified or --name')
      }
      const { emailVerified, ...rest } = options
      const updated = await withCore((app) =>
        app.registration.updateAgent(agent_id, {
          ...rest,
          ...(emailVerified !== undefined && { email_verified: emailVerified === 'yes' }),
        }),
      )
      print(command, updated, describe)
    })
}

function toRow(agent: Agent): Record<string, unknown> {
  return {
    agent_id: agent.agent_id,
    email: agent.email,
    name: agent.name,
    state: agent.disabled_at === null ? 'enabled' : 'disabled',
    created: time(agent.created_at),
  }
}

function describe(agent: Agent & { agent_secret?: string }, note?: string): string {
  const text = facts({
    ...agent,
    created_at: time(agent.created_at),
    disabled_at: agent.disabled_at && time(agent.disabled_at),
  })
  return note === undefined ? text : `${text}\n\n${note}`
}
