import type { Command } from 'commander'
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import type { SecretRotation } from '../../plugins/core/registry/registration.ts'
import { compromised, type IdentifierKind, identifier, seconds } from './options.ts'
import { facts, print, table, withCore } from './session.ts'

/** One of the things with the same commands: websites, agents, APIs, registration tokens. */
export interface NounDefinition<T extends object> {
  /** The first word of its commands. */
  name: string
  description: string
  /** The name of its identifier, in the output and in the help. */
  id: string
  kind: IdentifierKind
  list(app: FastifyInstance): Promise<T[]>
  delete(app: FastifyInstance, id: string): Promise<boolean>
  /** One line of `list`, for a person. */
  toRow(value: T): Record<string, unknown>
  /** The output of `list` when there is none. */
  none: string
}

/**
 * The commands of one noun. Each method adds one, and returns it for further options. `--json` prints
 * what the store or the registry returns; the rest of the definition is for people.
 */
export class Noun<T extends object> {
  readonly #definition: NounDefinition<T>
  readonly #commands: Command

  constructor(program: Command, definition: NounDefinition<T>) {
    this.#definition = definition
    this.#commands = program.command(definition.name).description(definition.description)
  }

  /**
   * Adds a command without an identifier.
   * @param examples the arguments of each example in the help
   */
  add(verb: string, description: string, ...examples: string[]): Command {
    const start = `auth-agent ${this.#definition.name} ${verb}`
    const lines = (examples.length === 0 ? [''] : examples).map((rest) =>
      `  ${start} ${rest}`.trimEnd(),
    )
    return this.#commands
      .command(verb)
      .description(description)
      .addHelpText('after', `\nExample:\n${lines.join('\n')}`)
  }

  /** Adds a command about one, whose identifier is the first argument of the action. */
  addOfOne(verb: string, description: string, example = ''): Command {
    const { id, kind } = this.#definition
    const sample = `${EXAMPLES[kind]} ${example}`
    return this.add(verb, description, sample).argument(`<${id}>`, '', identifier(kind))
  }

  addList(description: string): Command {
    const { list, toRow, none } = this.#definition
    return this.add('list', description, '--json').action(async (_options, command) => {
      print(command, await withCore(list), (all) => table(all.map(toRow), none))
    })
  }

  addShow(
    description: string,
    find: (app: FastifyInstance, id: string) => Promise<T | undefined>,
    describe: (value: T) => string,
  ): Command {
    return this.addOfOne('show', description).action(async (id: string, _options, command) => {
      const found = await withCore((app) => find(app, id))
      if (found === undefined) throw notFound(id)
      print(command, found, describe)
    })
  }

  addRotateSecret(
    secret: string,
    rotate: (app: FastifyInstance, id: string, options: SecretRotation) => Promise<string>,
    { canBeCompromised = true } = {},
  ): Command {
    const command = this.addOfOne(
      'rotate-secret',
      'make a new secret; it is shown once',
      '--overlap 86400',
    ).option('--overlap <seconds>', 'how long the old one stays valid', seconds)
    if (canBeCompromised) command.addOption(compromised())
    return command.action(async (id: string, options: SecretRotation, command) => {
      const rotated = await withCore((app) => rotate(app, id, options))
      print(command, { [this.#definition.id]: id, [secret]: rotated }, (shown) =>
        describeOnce(shown, secret),
      )
    })
  }

  addDisableAndEnable(
    update: (
      app: FastifyInstance,
      id: string,
      change: { disabled_at: number | null },
    ) => Promise<T>,
    describe: (value: T) => string,
  ): void {
    const set = (id: string, isDisabled: boolean) =>
      withCore((app) => update(app, id, { disabled_at: isDisabled ? app.clock.now() : null }))
    this.addOfOne('disable', 'end its sign-ins, codes and tokens and allow no new ones').action(
      async (id: string, _options, command) => print(command, await set(id, true), describe),
    )
    this.addOfOne('enable', 'allow sign-ins again').action(async (id: string, _options, command) =>
      print(command, await set(id, false), describe),
    )
  }

  addDelete(description: string): Command {
    return this.addOfOne('delete', description).action(async (id: string, _options, command) => {
      const deleted = await withCore((app) => this.#definition.delete(app, id))
      if (!deleted) throw notFound(id)
      print(command, { [this.#definition.id]: id, deleted }, () => `Deleted ${id}.`)
    })
  }
}

/** The error for an unknown identifier. */
export function notFound(id: string): OAuthError {
  return new OAuthError('not_found', `There is no ${id}`)
}

/** @throws {OAuthError} not_found */
export async function assertAgent(
  app: Pick<FastifyInstance, 'store'>,
  agent_id: string,
): Promise<void> {
  if ((await app.store.agents.find(agent_id)) === undefined) throw notFound(agent_id)
}

/** @throws {OAuthError} not_found */
export async function assertClient(
  app: Pick<FastifyInstance, 'store'>,
  client_id: string,
): Promise<void> {
  if ((await app.store.clients.find(client_id)) === undefined) throw notFound(client_id)
}

/** Facts that contain a secret, with a note that it is not shown again. */
export function describeOnce(shown: Record<string, unknown>, secret: string): string {
  return `${facts(shown)}\n\n${keepNow(secret)}`
}

export function keepNow(secret: string): string {
  return `Keep the ${secret} now: it is not shown again.`
}

const EXAMPLES: Record<IdentifierKind, string> = {
  agent_id: 'agent_mZ4k…',
  client_id: 'client_mZ4k…',
  grant_id: 'grant_mZ4k…',
  initial_access_token_id: 'riat_mZ4k…',
  owner_id: 'owner_mZ4k…',
  request_id: 'req_8sK2…',
  resource_id: 'rs_mZ4k…',
}
