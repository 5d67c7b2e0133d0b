import { type Command, InvalidArgumentError, Option } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { Client } from '../../db/store.ts'
import { KEY_SET_BYTES } from '../../plugins/core/callers/client-assertion.ts'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import { RemoteDocumentError } from '../../plugins/core/registry/fetch-document.ts'
import type { SecretRotation } from '../../plugins/core/registry/registration.ts'
import { ID_TOKEN_SIGNING_ALGS } from '../../schemas/openid.ts'
import { parseUri } from '../../schemas/uri.ts'
import { isBelowUrl, registrationOf } from '../presets/preset.ts'
import { PRESETS } from '../presets/presets.ts'
import { type ModelOptions, toModelPolicy, withModelOptions } from './agent-security.ts'
import { facts, print, Refusal, table, time, withCore } from './session.ts'
import { readKeySet, wholeNumber } from './values.ts'

const REUSE = '--refresh-reuse <rule>'
const REUSE_GRACE = '--refresh-reuse-grace <seconds>'

interface CreateOptions {
  name?: string
  redirectUri?: string[]
  preset?: string
  url?: string
  public?: true
  idTokenSignedResponseAlg?: string
  refreshReuseGrace?: number
  refreshReuse?: Client['refresh_reuse']
  jwksUri?: string
  jwksFile?: string
  grantType?: string[]
  scope?: string[]
  legacyPolling?: 'yes' | 'no'
  defaultResource?: string
}

interface UpdateOptions
  extends Omit<Partial<CreateOptions>, 'public' | 'jwksUri' | 'jwksFile' | 'refreshReuseGrace'> {
  refreshReuseGrace?: number | 'server'
  addRedirectUri?: string[]
  removeRedirectUri?: string[]
  anyScope?: true
}

export function addClientCommands(program: Command): void {
  const client = program.command('client').description('the websites that agents sign in to')

  client
    .command('create')
    .description('register a website; its secret is shown once')
    .option('--name <name>', 'what people see it called; required without --preset')
    .option('--redirect-uri <uri...>', 'where sign-ins return to, exactly')
    .addOption(
      new Option(
        '--preset <product>',
        'register what a known application or MCP host needs, and print the lines for it',
      )
        .choices(Object.keys(PRESETS))
        .conflicts(['redirectUri', 'public', 'jwksUri', 'jwksFile', 'grantType']),
    )
    .option(
      '--url <url>',
      'where the application is; for an MCP host, the MCP server that it is to use',
      plainUrl,
    )
    .addOption(
      new Option(
        '--public',
        'it cannot keep a secret (a native or single-page application)',
      ).conflicts(['jwksUri', 'jwksFile']),
    )
    .addOption(idTokenAlg())
    .option(REUSE_GRACE, 'for how long a used refresh token gets the newest one', seconds)
    .addOption(refreshReuse())
    .option(
      '--jwks-uri <uri>',
      'it authenticates with the keys at this https URL, without a secret',
    )
    .option('--jwks-file <file>', 'it authenticates with the public keys in this JSON file')
    .option('--grant-type <type...>', 'by default authorization_code and refresh_token')
    .option('--scope <scope...>', 'the only scopes that it may ask for, or have for itself')
    .option(
      '--default-resource <uri>',
      'the API that its tokens are for where it names none, because its software cannot',
    )
    .addOption(legacyPolling())
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent client create --name Shop --redirect-uri https://shop.example/callback\n  auth-agent client create --preset oauth2-proxy --url https://app.example',
    )
    .action(async (options: CreateOptions, command) => {
      const preset = options.preset === undefined ? undefined : PRESETS[options.preset]
      const name = options.name ?? preset?.title
      if (name === undefined) {
        return command.error("error: required option '--name <name>' not specified")
      }
      if (preset === undefined && options.url !== undefined) {
        return command.error("error: option '--url <url>' belongs to '--preset <product>'")
      }
      if (preset && isBelowUrl(preset) && options.url === undefined) {
        return command.error("error: '--preset' needs '--url <url>', where the application is")
      }
      const { url: given = 'URL_OF_THE_MCP_SERVER' } = options
      const url = preset && isBelowUrl(preset) ? given.replace(/\/$/, '') : given
      const { client, client_secret, issuer, warning } = await withCore(async (app) => {
        const created = await app.registration.createClient({
          redirect_uris: options.redirectUri ?? [],
          token_endpoint_auth_method: methodOf(options),
          grant_types: options.grantType,
          ...(preset && registrationOf(preset, url)),
          client_name: name,
          scope: options.scope && scopeOf(options.scope),
          ...(options.idTokenSignedResponseAlg && {
            id_token_signed_response_alg: options.idTokenSignedResponseAlg,
          }),
          ...(options.refreshReuseGrace !== undefined && {
            refresh_reuse_grace: options.refreshReuseGrace,
          }),
          refresh_reuse: options.refreshReuse,
          default_resource: options.defaultResource,
          legacy_polling: options.legacyPolling && options.legacyPolling === 'yes',
          jwks_uri: options.jwksUri,
          jwks: options.jwksFile === undefined ? undefined : readKeySet(options.jwksFile),
        })
        const { jwks_uri } = created.client
        const warning = jwks_uri === null ? undefined : await whyNotFetched(app, jwks_uri)
        return { ...created, issuer: app.settings.ISSUER, warning }
      })
      const filled = {
        issuer,
        client_id: client.client_id,
        client_secret: client_secret ?? '',
        url,
      }
      const configuration = preset?.files.map(({ name: file, lines }) => ({
        file,
        lines: lines(filled),
      }))
      const note = client_secret ? 'Keep the client_secret now: it is not shown again.' : warning
      print(command, { ...client, client_secret, configuration, warning }, () =>
        described({ ...client, client_secret, configuration }, note),
      )
    })

  client
    .command('presets')
    .description('list the applications and MCP hosts that --preset knows')
    .addHelpText('after', '\nExample:\n  auth-agent client presets')
    .action((_options, command) => {
      const presets = Object.entries(PRESETS).map(([preset, { title, redirect }]) => ({
        preset,
        title,
        redirect,
      }))
      print(command, presets, (rows) => table(rows, ''))
    })

  client
    .command('list')
    .description('list the registered websites')
    .addHelpText('after', '\nExample:\n  auth-agent client list --json')
    .action(async (_options, command) => {
      const clients = await withCore((app) => app.store.clients.list())
      print(command, clients, () => table(clients.map(row), 'No client is registered.'))
    })

  client
    .command('show <client_id>')
    .description('show one website')
    .addHelpText('after', '\nExample:\n  auth-agent client show client_mZ4k…')
    .action(async (client_id: string, _options, command) => {
      const found = await withCore((app) => app.store.clients.find(client_id))
      if (found === undefined) throw new OAuthError('not_found', `There is no ${client_id}`)
      print(command, found, described)
    })

  client
    .command('update <client_id>')
    .description('change what is given')
    .option('--name <name>', 'what people see it called')
    .addOption(
      new Option('--redirect-uri <uri...>', 'all redirect URIs that it has from now on').conflicts([
        'addRedirectUri',
        'removeRedirectUri',
      ]),
    )
    .option('--add-redirect-uri <uri...>', 'redirect URIs that it has beside the others')
    .option('--remove-redirect-uri <uri...>', 'redirect URIs that it has no longer')
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent client update client_mZ4k… --name "Example Shop"',
    )
    .addOption(idTokenAlg())
    .option('--grant-type <type...>', 'all grant types that it has from now on')
    .option('--scope <scope...>', 'the only scopes that it may ask for, from now on')
    .addOption(legacyPolling())
    .option('--default-resource <uri>', 'as for create, or `none`')
    .addOption(new Option('--any-scope', 'it may ask for every scope again').conflicts('scope'))
    .option(REUSE_GRACE, "as for create, or `server` for the server's own", secondsOrServer)
    .addOption(refreshReuse())
    .action(async (client_id: string, options: UpdateOptions, command) => {
      const { name, redirectUri, grantType, scope, anyScope } = options
      const { addRedirectUri: add = [], removeRedirectUri: remove = [] } = options
      const { idTokenSignedResponseAlg, refreshReuseGrace, refreshReuse, legacyPolling } = options
      const { defaultResource } = options
      if (Object.keys(options).length === 0) {
        command.error('error: nothing to change, see --help for what can be')
      }
      const change = {
        ...(name !== undefined && { client_name: name }),
        ...(grantType !== undefined && { grant_types: grantType }),
        ...(scope !== undefined && { scope: scopeOf(scope) }),
        ...(anyScope && { scope: null }),
        ...(defaultResource !== undefined && {
          default_resource: defaultResource === 'none' ? null : defaultResource,
        }),
        ...(legacyPolling !== undefined && { legacy_polling: legacyPolling === 'yes' }),
        ...(idTokenSignedResponseAlg !== undefined && {
          id_token_signed_response_alg: idTokenSignedResponseAlg,
        }),
        ...(refreshReuse !== undefined && { refresh_reuse: refreshReuse }),
        ...(refreshReuseGrace !== undefined && {
          refresh_reuse_grace: refreshReuseGrace === 'server' ? null : refreshReuseGrace,
        }),
      }
      const updated = await withCore(({ registration }) =>
        add.length + remove.length > 0
          ? registration.editRedirectUris(client_id, { add, remove }, change)
          : registration.updateClient(client_id, {
              ...change,
              ...(redirectUri !== undefined && { redirect_uris: redirectUri }),
            }),
      )
      print(command, updated, described)
    })

  withModelOptions(
    client
      .command('policy <client_id>')
      .description('show which models a website takes, or change what is named'),
  )
    .addHelpText(
      'after',
      "\nExample:\n  auth-agent client policy client_9fQe… --allow-model 'claude-*'",
    )
    .action(async (client_id: string, options: ModelOptions, command) => {
      const change = toModelPolicy(options)
      const policy = await withCore(async (app) => {
        if (Object.keys(change).length > 0) return app.policies.changeClient(client_id, change)
        await assertClient(app, client_id)
        return app.policies.ofClient(client_id)
      })
      print(command, { client_id, ...policy }, facts)
    })

  client
    .command('rotate-secret <client_id>')
    .description('make a new secret; it is shown once')
    .option('--overlap <seconds>', 'for how long the old one stays good', seconds)
    .addOption(compromised())
    .addHelpText(
      'after',
      '\nExample:\n  auth-agent client rotate-secret client_mZ4k… --overlap 86400',
    )
    .action(async (client_id: string, options: SecretRotation, command) => {
      const client_secret = await withCore((app) =>
        app.registration.rotateClientSecret(client_id, options),
      )
      print(
        command,
        { client_id, client_secret },
        (rotated) => `${facts(rotated)}\n\nKeep the client_secret now: it is not shown again.`,
      )
    })

  client
    .command('disable <client_id>')
    .description('end its sign-ins, codes and tokens and allow no new ones')
    .addHelpText('after', '\nExample:\n  auth-agent client disable client_mZ4k…')
    .action((client_id: string, _options, command) => setDisabled(client_id, true, command))

  client
    .command('enable <client_id>')
    .description('allow sign-ins again')
    .addHelpText('after', '\nExample:\n  auth-agent client enable client_mZ4k…')
    .action((client_id: string, _options, command) => setDisabled(client_id, false, command))

  client
    .command('delete <client_id>')
    .description('remove it and everything that hangs from it')
    .addHelpText('after', '\nExample:\n  auth-agent client delete client_mZ4k…')
    .action(async (client_id: string, _options, command) => {
      const deleted = await withCore((app) => app.store.clients.delete(client_id))
      if (!deleted) throw new OAuthError('not_found', `There is no ${client_id}`)
      print(command, { client_id, deleted }, () => `Deleted ${client_id}.`)
    })
}

/** @throws {OAuthError} not_found */
export async function assertClient(
  app: Pick<FastifyInstance, 'store'>,
  client_id: string,
): Promise<void> {
  if ((await app.store.clients.find(client_id)) !== undefined) return
  throw new OAuthError('not_found', `There is no ${client_id}`)
}

function methodOf(options: CreateOptions): string {
  if (options.public) return 'none'
  const keys = options.jwksUri ?? options.jwksFile
  return keys === undefined ? 'client_secret_basic' : 'private_key_jwt'
}

async function setDisabled(client_id: string, disabled: boolean, command: Command): Promise<void> {
  const updated = await withCore((app) =>
    app.registration.updateClient(client_id, { disabled_at: disabled ? app.clock.now() : null }),
  )
  print(command, updated, described)
}

/** Of `rotate-secret`. */
export function compromised(): Option {
  return new Option('--compromised', 'end every sign-in, code and token with it').conflicts(
    'overlap',
  )
}

/** A whole number of seconds, for an option. */
export const seconds = wholeNumber('seconds', 0, 315_360_000)

function secondsOrServer(text: string): number | 'server' {
  return text === 'server' ? text : seconds(text)
}

function refreshReuse(): Option {
  return new Option(
    REUSE,
    'whether a used refresh token may come again from networks that the sign-in is known by',
  ).choices(['strict', 'known-networks'])
}

/** A URL that a shell and every kind of configuration take as it is. */
function plainUrl(text: string): string {
  if (/^https?:\/\/[\w.~:/%[\]-]+$/.test(text) && parseUri(text)) return text
  throw new InvalidArgumentError('It must be an http or https URL of letters, digits and ~:/%.-[]_')
}

function idTokenAlg(): Option {
  return new Option(
    '--id-token-signed-response-alg <alg>',
    'what signs its ID Tokens; RS256 unless said otherwise',
  ).choices(ID_TOKEN_SIGNING_ALGS)
}

function legacyPolling(): Option {
  return new Option(
    '--legacy-polling <answer>',
    'whether agents without a browser may poll /api/check-status for the code',
  ).choices(['yes', 'no'])
}

/** Scopes may be given one by one or as one text. */
export function words(scopes: string[]): string[] {
  return scopes.flatMap((scope) => scope.split(/\s+/)).filter((word) => word !== '')
}

/** @throws {Refusal} for an empty scope, with which the client could ask for nothing */
function scopeOf(scopes: string[]): string {
  const scope = words(scopes).join(' ')
  if (scope !== '') return scope
  throw new Refusal(
    'With an empty --scope the client could ask for nothing. Name its scopes; without a limit it is with --any-scope of `client update`, or without --scope of `client create`.',
  )
}

function row(client: Client): Record<string, unknown> {
  return {
    client_id: client.client_id,
    name: client.client_name,
    kind: client.token_endpoint_auth_method === 'none' ? 'public' : 'confidential',
    state: client.disabled_at === null ? 'enabled' : 'disabled',
    created: time(client.created_at),
    redirect_uris: client.redirect_uris,
  }
}

function described(
  {
    configuration = [],
    ...client
  }: Client & { client_secret?: string; configuration?: { file: string; lines: string }[] },
  note?: string,
): string {
  const text = facts({
    ...client,
    jwks: client.jwks && JSON.stringify(client.jwks),
    operator_change: client.operator_change && JSON.stringify(client.operator_change),
    created_at: time(client.created_at),
    disabled_at: client.disabled_at && time(client.disabled_at),
  })
  const files = configuration.map(({ file, lines }) => `For the other side, ${file}:\n\n${lines}`)
  return [text, ...(note === undefined ? [] : [note]), ...files].join('\n\n')
}

/** What is in the way of the keys at a `jwks_uri`, which are fetched when the client authenticates. */
async function whyNotFetched(app: FastifyInstance, jwks_uri: string): Promise<string | undefined> {
  try {
    await app.remoteDocuments.read(jwks_uri, KEY_SET_BYTES, { address: '127.0.0.1' })
    return undefined
  } catch (error) {
    if (error instanceof RemoteDocumentError) {
      return `Its keys cannot be fetched now: ${jwks_uri} ${error.forOperator}.`
    }
    if (error instanceof OAuthError) return `Its keys cannot be fetched now: ${error.message}.`
    throw error
  }
}
