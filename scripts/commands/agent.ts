import { type Command, Option } from 'commander'
import type { Agent } from '../../db/store.ts'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import type { SecretRotation } from '../../plugins/core/registry/registration.ts'
import { addAgentSecurityCommands } from './agent-security.ts'
import { compromised, seconds } from './client.ts'
import { facts, print, table, time, withCore } from './session.ts'

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
  const agent = program.command('agent').description('the agents that sign in')

  agent
    .command('create')
    .description('register an agent; its secret is shown once')
    .requiredOption('--email <address>', "its owner's e-mail address, which websites are told")
    .option(
      '--email-verified',
      'you vouch that the address belongs to the owner: websites are told so',
    )
    .option('--name <name>', 'what you call it')
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent agent create --email owner@example.com --name Max',
    )
    .action(async (options: CreateOptions, command) => {
      const { emailVerified: email_verified, ...rest } = options
      const { agent, agent_secret } = await withCore((app) =>
        app.registration.createAgent({ ...rest, email_verified }),
      )
      print(command, { ...agent, agent_secret }, (created) =>
        described(created, 'Keep the agent_secret now: it is not shown again.'),
      )
    })

  agent
    .command('list')
    .description('list the registered agents')
    .addHelpText('after', '\nExample:\n  auth-agent agent list --json')
    .action(async (_options, command) => {
      const agents = await withCore((app) => app.store.agents.list())
      print(command, agents, () => table(agents.map(row), 'No agent is registered.'))
    })

  agent
    .command('show <agent_id>')
    .description('show one agent')
    .addHelpText('after', '\nExample:\n  auth-agent agent show agent_mZ4k…')
    .action(async (agent_id: string, _options, command) => {
      const found = await withCore((app) => app.store.agents.find(agent_id))
      if (found === undefined) throw new OAuthError('not_found', `There is no ${agent_id}`)
      print(command, found, described)
    })

  agent
    .command('update <agent_id>')
    .description("change the owner's e-mail address or the name")
    .option('--email <address>', "its owner's e-mail address")
    .addOption(
      new Option(
        '--email-verified <answer>',
        'whether you vouch that the address belongs to the owner; no after it changes',
      ).choices(['yes', 'no']),
    )
    .option('--name <name>', 'what you call it')
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent agent update agent_mZ4k… --email new-owner@example.com',
    )
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
      print(command, updated, described)
    })

  agent
    .command('rotate-secret <agent_id>')
    .description('make a new secret; it is shown once')
    .option('--overlap <seconds>', 'for how long the old one stays good', seconds)
    .addOption(compromised())
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent agent rotate-secret agent_mZ4k… --overlap 86400',
    )
    .action(async (agent_id: string, options: SecretRotation, command) => {
      const agent_secret = await withCore((app) =>
        app.registration.rotateAgentSecret(agent_id, options),
      )
      print(
        command,
        { agent_id, agent_secret },
        (rotated) => `${facts(rotated)}\n\nKeep the agent_secret now: it is not shown again.`,
      )
    })

  agent
    .command('disable <agent_id>')
    .description('end its sign-ins, codes and tokens and allow no new ones')
    .addHelpText('after', '\nExample:\n  auth-agent agent disable agent_mZ4k…')
    .action((agent_id: string, _options, command) => setDisabled(agent_id, true, command))

  agent
    .command('enable <agent_id>')
    .description('allow sign-ins again')
    .addHelpText('after', '\nExample:\n  auth-agent agent enable agent_mZ4k…')
    .action((agent_id: string, _options, command) => setDisabled(agent_id, false, command))

  agent
    .command('delete <agent_id>')
    .description('remove it and everything that hangs from it')
    .addHelpText('after', '\nExample:\n  auth-agent agent delete agent_mZ4k…')
    .action(async (agent_id: string, _options, command) => {
      const deleted = await withCore((app) => app.store.agents.delete(agent_id))
      if (!deleted) throw new OAuthError('not_found', `There is no ${agent_id}`)
      print(command, { agent_id, deleted }, () => `Deleted ${agent_id}.`)
    })

  addAgentSecurityCommands(agent)
}

async function setDisabled(agent_id: string, disabled: boolean, command: Command): Promise<void> {
  const updated = await withCore((app) =>
    app.registration.updateAgent(agent_id, { disabled_at: disabled ? app.clock.now() : null }),
  )
  print(command, updated, described)
}

function row(agent: Agent): Record<string, unknown> {
  return {
    agent_id: agent.agent_id,
    email: agent.email,
    name: agent.name,
    state: agent.disabled_at === null ? 'enabled' : 'disabled',
    created: time(agent.created_at),
  }
}

function described(agent: Agent & { agent_secret?: string }, note?: string): string {
  const text = facts({
    ...agent,
    created_at: time(agent.created_at),
    disabled_at: agent.disabled_at && time(agent.disabled_at),
  })
  return note === undefined ? text : `${text}\n\n${note}`
}
