import { Option } from 'commander'
import type { Agent, Event, RememberedApproval } from '../../db/store.ts'
import type { AgentPolicy } from '../../schemas/policy.ts'
import { readJsonObject } from './json-file.ts'
import { assertAgent, type Noun } from './noun.ts'
import {
  compromised,
  identifier,
  listOf,
  type ModelOptions,
  toModelPolicy,
  wholeNumber,
  withModelOptions,
} from './options.ts'
import { facts, print, table, time, withCore } from './session.ts'

/** The commands for an agent's keys, policy and audit trail. */
export function addAgentSecurityCommands(noun: Noun<Agent>): void {
  noun
    .addOfOne(
      'add-key',
      'register a public key; the agent signs in with the private key instead of its secret',
      '--jwk public.jwk',
    )
    .option(
      '--jwk <file>',
      'the public JSON Web Key (ES256, EdDSA or Ed25519), or - for standard input',
    )
    .option('--generate', 'make a key pair; the private key is shown once')
    .action(async (agent_id: string, options: { jwk?: string; generate?: true }, command) => {
      const { jwk, generate } = options
      if ((jwk === undefined) === (generate === undefined)) {
        command.error('error: give either --jwk or --generate')
      }
      if (jwk === undefined) {
        const { private_jwk } = await withCore((app) => app.agentKeys.generate(agent_id))
        print(command, private_jwk, (key) => JSON.stringify(key))
        return
      }
      const { kid, alg } = await withCore((app) =>
        app.agentKeys.add(agent_id, readJsonObject(jwk, 'one public JSON Web Key')),
      )
      print(command, { agent_id, kid, alg }, facts)
    })

  noun
    .addOfOne('list-keys', 'list the registered keys of an agent')
    .action(async (agent_id: string, _options, command) => {
      const keys = await withCore(async (app) => {
        await assertAgent(app, agent_id)
        return app.agentKeys.list(agent_id)
      })
      const rows = keys.map(({ kid, alg, created_at }) => ({ kid, alg, created: time(created_at) }))
      print(command, keys, () => table(rows, 'The agent has no key.'))
    })

  noun
    .addOfOne('remove-key', 'remove a key, which the agent can no longer use', 'NzbLs…')
    .argument('<kid>')
    // Some key identifiers start with a dash.
    .allowUnknownOption()
    .addOption(compromised())
    .action(async (agent_id: string, kid: string, options: { compromised?: true }, command) => {
      await withCore((app) => app.agentKeys.remove(agent_id, kid, options.compromised))
      print(command, { agent_id, kid, removed: true }, () => `Removed ${kid}.`)
    })

  withModelOptions(
    noun
      .addOfOne(
        'policy',
        'show what an agent may do, or change what is named',
        '--sites list --allow-site shop.example',
      )
      .addOption(
        new Option('--sites <which>', 'where it may sign in').choices([
          'registered',
          'any',
          'list',
          'ask',
        ]),
      )
      .option(
        '--allow-site <sites...>',
        'the sites that you allow, by client_id or redirect host; none empties the list',
      )
      .addOption(
        new Option(
          '--remember <yes|no>',
          'whether what its owner approves is allowed from then on',
        ).choices(['yes', 'no']),
      )
      .option(
        '--forget-site <client_id>',
        'forget what its owner approved of a website',
        identifier('client_id'),
      )
      .addOption(
        new Option('--deliver <to>', 'whether only the agent gets codes').choices(['any', 'agent']),
      )
      .addOption(
        new Option('--secret <use>', 'whether its secret counts').choices(['allow', 'forbid']),
      )
      .addOption(
        new Option(
          '--approval <how>',
          'how its owner approves: with the code of a mail, or with a passkey alone',
        ).choices(['mail', 'passkey']),
      ),
  ).action(async (agent_id: string, options: PolicyOptions, command) => {
    const change = toPolicy(options)
    const policy = await withCore(async (app) => {
      await assertAgent(app, agent_id)
      if (options.forgetSite) await app.policies.forget(agent_id, options.forgetSite)
      if (Object.keys(change).length > 0) await app.policies.changeAgent(agent_id, change)
      return {
        ...(await app.policies.ofAgent(agent_id)),
        remembered_approvals: (await app.policies.remembered(agent_id)).map(rememberedRow),
      }
    })
    print(command, { agent_id, ...policy }, ({ remembered_approvals, ...rest }) =>
      [
        facts(rest),
        table(remembered_approvals.map(toRememberedRow), 'There are no remembered approvals.'),
      ].join('\n\n'),
    )
  })

  noun
    .addOfOne('sign-ins', 'show the audit trail of an agent, the newest first', '--limit 10')
    .option('--limit <number>', 'how many lines', wholeNumber('lines', 1, 10_000), 50)
    .action(async (agent_id: string, { limit }: { limit: number }, command) => {
      const events = await withCore(async (app) => {
        const found = await app.store.events.list({ agent_id, limit })
        // The audit trail of a deleted agent is kept.
        if (found.length === 0) await assertAgent(app, agent_id)
        return found
      })
      print(command, events, () => table(events.map(row), 'The audit trail has no entry.'))
    })
}

interface PolicyOptions extends ModelOptions {
  sites?: AgentPolicy['sites']
  allowSite?: string[]
  remember?: 'yes' | 'no'
  forgetSite?: string
  deliver?: AgentPolicy['deliver']
  secret?: AgentPolicy['secret']
  approval?: AgentPolicy['approval']
}

function toPolicy({ allowSite, remember, ...options }: PolicyOptions): Partial<AgentPolicy> {
  const { sites, deliver, secret, approval } = options
  return {
    ...(sites && { sites }),
    ...(allowSite && { allowed_sites: listOf(allowSite) }),
    ...(remember && { remember_sites: remember === 'yes' }),
    ...(deliver && { deliver }),
    ...(secret && { secret }),
    ...(approval && { approval }),
    ...toModelPolicy(options),
  }
}

function rememberedRow(approval: RememberedApproval) {
  const { client_id, redirect_host, scope, resource, created_at } = approval
  const resources: string[] = resource === null ? [] : JSON.parse(resource)
  return { client_id, redirect_host, scope, resources, created_at }
}

function toRememberedRow({ created_at, ...approval }: ReturnType<typeof rememberedRow>) {
  return { ...approval, remembered: time(created_at) }
}

function row({ at, event, outcome, client_id, model, method, address, detail }: Event) {
  return { time: time(at), event, outcome, client_id, model, method, address, detail }
}
