import { type Command, Option } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { Event, RememberedApproval } from '../../db/store.ts'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import type { AgentPolicy, ModelPolicy } from '../../schemas/policy.ts'
import { compromised } from './client.ts'
import { facts, print, table, time, withCore } from './session.ts'
import { listOf, readJsonObject, wholeNumber } from './values.ts'

/** What says how an agent proves itself, what it may do, and what it did. */
export function addAgentSecurityCommands(agent: Command): void {
  agent
    .command('add-key <agent_id>')
    .description('register a public key, by which the agent proves itself instead of its secret')
    .option(
      '--jwk <file>',
      'the public JSON Web Key (ES256, EdDSA or Ed25519), or - for standard input',
    )
    .option('--generate', 'make a key pair; the private key is shown once')
    .addHelpText('after', '\nExample:\n  auth-agent agent add-key agent_mZ4k… --jwk public.jwk')
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

  agent
    .command('list-keys <agent_id>')
    .description('list the registered keys of an agent')
    .addHelpText('after', '\nExample:\n  auth-agent agent list-keys agent_mZ4k…')
    .action(async (agent_id: string, _options, command) => {
      const keys = await withCore(async (app) => {
        await assertAgent(app, agent_id)
        return app.agentKeys.list(agent_id)
      })
      const rows = keys.map(({ kid, alg, created_at }) => ({ kid, alg, created: time(created_at) }))
      print(command, keys, () => table(rows, 'The agent has no key.'))
    })

  agent
    .command('remove-key <agent_id> <kid>')
    // Some key identifiers start with a dash.
    .allowUnknownOption()
    .description('let a key prove nothing any more')
    .addOption(compromised())
    .addHelpText('after', '\nExample:\n  auth-agent agent remove-key agent_mZ4k… NzbLs…')
    .action(async (agent_id: string, kid: string, options: { compromised?: true }, command) => {
      await withCore((app) => app.agentKeys.remove(agent_id, kid, options.compromised))
      print(command, { agent_id, kid, removed: true }, () => `Removed ${kid}.`)
    })

  withModelOptions(
    agent
      .command('policy <agent_id>')
      .description('show what an agent may do, or change what is named')
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
      .option('--forget-site <client_id>', 'forget what its owner approved of a website')
      .addOption(
        new Option('--deliver <to>', 'whether codes go to the agent alone').choices([
          'any',
          'agent',
        ]),
      )
      .addOption(
        new Option('--secret <use>', 'whether its secret counts').choices(['allow', 'forbid']),
      ),
  )
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent agent policy agent_mZ4k… --sites list --allow-site shop.example',
    )
    .action(async (agent_id: string, options: PolicyOptions, command) => {
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
        [facts(rest), table(remembered_approvals.map(shown), 'No approval is remembered.')].join(
          '\n\n',
        ),
      )
    })

  agent
    .command('sign-ins <agent_id>')
    .description('show the audit trail of an agent, the newest first')
    .option('--limit <number>', 'how many lines', wholeNumber('lines', 1, 10_000), 50)
    .addHelpText('after', '\nExample:\n  auth-agent agent sign-ins agent_mZ4k… --limit 10')
    .action(async (agent_id: string, { limit }: { limit: number }, command) => {
      const events = await withCore(async (app) => {
        const found = await app.store.events.list({ agent_id, limit })
        // The trail of an agent outlives it.
        if (found.length === 0) await assertAgent(app, agent_id)
        return found
      })
      print(command, events, () => table(events.map(row), 'Nothing is on record.'))
    })
}

export interface ModelOptions {
  allowModel?: string[]
  refuseModel?: string[]
}

/** Of a policy of an agent, or of a website. */
export function withModelOptions(command: Command): Command {
  return command
    .option('--allow-model <models...>', 'by name, or a beginning with a trailing *; none for all')
    .option('--refuse-model <models...>', 'the same; none refuses nothing')
}

export function toModelPolicy({ allowModel, refuseModel }: ModelOptions): Partial<ModelPolicy> {
  return {
    ...(allowModel && { allowed_models: listOf(allowModel) }),
    ...(refuseModel && { refused_models: listOf(refuseModel) }),
  }
}

interface PolicyOptions extends ModelOptions {
  sites?: AgentPolicy['sites']
  allowSite?: string[]
  remember?: 'yes' | 'no'
  forgetSite?: string
  deliver?: AgentPolicy['deliver']
  secret?: AgentPolicy['secret']
}

function toPolicy({ allowSite, remember, ...options }: PolicyOptions): Partial<AgentPolicy> {
  const { sites, deliver, secret } = options
  return {
    ...(sites && { sites }),
    ...(allowSite && { allowed_sites: listOf(allowSite) }),
    ...(remember && { remember_sites: remember === 'yes' }),
    ...(deliver && { deliver }),
    ...(secret && { secret }),
    ...toModelPolicy(options),
  }
}

/** @throws {OAuthError} not_found */
export async function assertAgent(
  app: Pick<FastifyInstance, 'store'>,
  agent_id: string,
): Promise<void> {
  if ((await app.store.agents.find(agent_id)) !== undefined) return
  throw new OAuthError('not_found', `There is no ${agent_id}`)
}

function rememberedRow(approval: RememberedApproval) {
  const { client_id, redirect_host, scope, resource, created_at } = approval
  const resources: string[] = resource === null ? [] : JSON.parse(resource)
  return { client_id, redirect_host, scope, resources, created_at }
}

function shown({ created_at, ...approval }: ReturnType<typeof rememberedRow>) {
  return { ...approval, remembered: time(created_at) }
}

function row({ at, event, outcome, client_id, model, method, address, detail }: Event) {
  return { time: time(at), event, outcome, client_id, model, method, address, detail }
}
