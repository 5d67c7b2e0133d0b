import { type Command, Option } from 'commander'
import type { FastifyInstance } from 'fastify'
import type { Client } from '../../db/store.ts'
import { KEY_SET_BYTES } from '../../plugins/core/callers/client-assertion.ts'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import { RemoteDocumentError } from '../../plugins/core/registry/fetch-document.ts'
import { ID_TOKEN_SIGNING_ALGS } from '../../schemas/openid.ts'
import { isBelowUrl, registrationOf } from '../presets/preset.ts'
import { PRESETS } from '../presets/presets.ts'
import { readKeySet } from './json-file.ts'
import { assertClient, keepNow, Noun } from './noun.ts'
import {
  type ModelOptions,
  plainUrl,
  scopeOf,
  seconds,
  secondsOrServer,
  toModelPolicy,
  withModelOptions,
} from './options.ts'
import { facts, print, table, time, withCore } from './session.ts'

const REUSE = '--refresh-reuse <rule>'
const AFTER_LOGOUT = '--post-logout-redirect-uri <uri...>'
const BACKCHANNEL_LOGOUT = '--backchannel-logout-uri <uri>'
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
  postLogoutRedirectUri?: string[]
  backchannelLogoutUri?: string
  subject?: Client['subject']
}

interface UpdateOptions
  extends Omit<Partial<CreateOptions>, 'public' | 'jwksUri' | 'jwksFile' | 'refreshReuseGrace'> {
  refreshReuseGrace?: number | 'server'
  addRedirectUri?: string[]
  removeRedirectUri?: string[]
  anyScope?: true
}

export function addClientCommands(program: Command): void {
  const noun = new Noun<Client>(program, {
    name: 'client',
    description: 'the websites that agents sign in to',
    id: 'client_id',
    kind: 'client_id',
    list: (app) => app.store.clients.list(),
    delete: (app, id) => app.store.clients.delete(id),
    toRow,
    none: 'No client is registered.',
  })
  addCreate(noun)
  addPresets(noun)
  noun.addList('list the registered websites')
  noun.addShow('show one website', (app, id) => app.store.clients.find(id), describe)
  addUpdate(noun)
  addPolicy(noun)
  noun.addRotateSecret('client_secret', ({ registration }, id, options) =>
    registration.rotateClientSecret(id, options),
  )
  noun.addDisableAndEnable(
    ({ registration }, id, change) => registration.updateClient(id, change),
    describe,
  )
  noun.addDelete('remove it with its sign-ins, codes and tokens')
}

function addCreate(noun: Noun<Client>): void {
  noun
    .add(
      'create',
      'register a website; its secret is shown once',
      '--name Shop --redirect-uri https://shop.example/callback',
      '--preset oauth2-proxy --url https://app.example',
    )
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
      'the URL of the application; for an MCP host, that of the MCP server',
      plainUrl,
    )
    .addOption(
      new Option(
        '--public',
        'it cannot keep a secret (a native or single-page application)',
      ).conflicts(['jwksUri', 'jwksFile']),
    )
    .addOption(idTokenAlg())
    .option(REUSE_GRACE, 'how long a used refresh token is answered with the newest one', seconds)
    .addOption(refreshReuse())
    .option(
      '--jwks-uri <uri>',
      'it authenticates with the keys at this https URL, without a secret',
    )
    .option('--jwks-file <file>', 'it authenticates with the public keys in this JSON file')
    .option('--grant-type <type...>', 'by default authorization_code and refresh_token')
    .option('--scope <scope...>', 'the only scopes that it may ask for, or have for itself')
    .option(AFTER_LOGOUT, 'where a browser may return to after signing out, exactly')
    .option(BACKCHANNEL_LOGOUT, 'an https URL of its own where it is told that a sign-in has ended')
    .option(
      '--default-resource <uri>',
      'the API for its tokens if its software cannot send the parameter resource',
    )
    .addOption(legacyPolling())
    .addOption(subject())
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
          ...logoutOf(options),
          default_resource: options.defaultResource,
          subject: options.subject,
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
      const note = client_secret ? keepNow('client_secret') : warning
      print(command, { ...client, client_secret, configuration, warning }, () =>
        describe({ ...client, client_secret, configuration }, note),
      )
    })
}

function addPresets(noun: Noun<Client>): void {
  noun
    .add('presets', 'list the applications and MCP hosts that --preset knows')
    .action((_options, command) => {
      const presets = Object.entries(PRESETS).map(([preset, { title, redirect }]) => ({
        preset,
        title,
        redirect,
      }))
      print(command, presets, (rows) => table(rows, ''))
    })
}

function addUpdate(noun: Noun<Client>): void {
  noun
    .addOfOne('update', 'change the given options only', '--name "Example Shop"')
    .option('--name <name>', 'what people see it called')
    .addOption(
      new Option('--redirect-uri <uri...>', 'replace all redirect URIs with these').conflicts([
        'addRedirectUri',
        'removeRedirectUri',
      ]),
    )
    .option('--add-redirect-uri <uri...>', 'add these redirect URIs')
    .option('--remove-redirect-uri <uri...>', 'remove these redirect URIs')
    .addOption(idTokenAlg())
    .option('--grant-type <type...>', 'replace all grant types with these')
    .option('--scope <scope...>', 'replace the scopes that it may ask for with these')
    .addOption(legacyPolling())
    .option(AFTER_LOGOUT, 'all such URIs that it has from now on, or `none`')
    .option(BACKCHANNEL_LOGOUT, 'as for create, or `none`')
    .addOption(subject())
    .option('--default-resource <uri>', 'as for create, or `none`')
    .addOption(new Option('--any-scope', 'it may ask for every scope again').conflicts('scope'))
    .option(REUSE_GRACE, "as for create, or `server` for the server's own", secondsOrServer)
    .addOption(refreshReuse())
    .action(async (client_id: string, options: UpdateOptions, command) => {
      const { name, redirectUri, grantType, scope, anyScope } = options
      const { addRedirectUri: add = [], removeRedirectUri: remove = [] } = options
      const { idTokenSignedResponseAlg, refreshReuseGrace, refreshReuse, legacyPolling } = options
      const { defaultResource, subject, ...rest } = options
      if (Object.keys(options).length === 0) {
        command.error('error: nothing to change: give at least one option')
      }
      const change = {
        ...(name !== undefined && { client_name: name }),
        ...(grantType !== undefined && { grant_types: grantType }),
        ...(scope !== undefined && { scope: scopeOf(scope) }),
        ...(anyScope && { scope: null }),
        ...(subject !== undefined && { subject }),
        ...(defaultResource !== undefined && {
          default_resource: defaultResource === 'none' ? null : defaultResource,
        }),
        ...logoutOf(rest),
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
      print(command, updated, describe)
    })
}

function addPolicy(noun: Noun<Client>): void {
  withModelOptions(
    noun.addOfOne(
      'policy',
      'show which models a website accepts, or change the given options only',
      "--allow-model 'claude-*'",
    ),
  ).action(async (client_id: string, options: ModelOptions, command) => {
    const change = toModelPolicy(options)
    const policy = await withCore(async (app) => {
      if (Object.keys(change).length > 0) return app.policies.changeClient(client_id, change)
      await assertClient(app, client_id)
      return app.policies.ofClient(client_id)
    })
    print(command, { client_id, ...policy }, facts)
  })
}

function methodOf(options: CreateOptions): string {
  if (options.public) return 'none'
  const keys = options.jwksUri ?? options.jwksFile
  return keys === undefined ? 'client_secret_basic' : 'private_key_jwt'
}

function logoutOf({
  postLogoutRedirectUri: uris,
  backchannelLogoutUri: uri,
}: Pick<CreateOptions, 'postLogoutRedirectUri' | 'backchannelLogoutUri'>) {
  return {
    ...(uris !== undefined && {
      post_logout_redirect_uris: uris.join() === 'none' ? [] : uris,
    }),
    ...(uri !== undefined && { backchannel_logout_uri: uri === 'none' ? null : uri }),
  }
}

function refreshReuse(): Option {
  return new Option(
    REUSE,
    'whether a used refresh token is accepted again on networks that have used the sign-in',
  ).choices(['strict', 'known-networks'])
}

function idTokenAlg(): Option {
  return new Option(
    '--id-token-signed-response-alg <alg>',
    'the algorithm that signs its ID Tokens; by default RS256',
  ).choices(ID_TOKEN_SIGNING_ALGS)
}

function legacyPolling(): Option {
  return new Option(
    '--legacy-polling <answer>',
    'whether agents without a browser may poll /api/check-status for the code',
  ).choices(['yes', 'no'])
}

function subject(): Option {
  return new Option(
    '--subject <whom>',
    'whom it knows by the `sub` of its tokens: each agent, or the owner of all of them',
  ).choices(['agent', 'owner'])
}

function toRow(client: Client): Record<string, unknown> {
  return {
    client_id: client.client_id,
    name: client.client_name,
    kind: client.token_endpoint_auth_method === 'none' ? 'public' : 'confidential',
    state: client.disabled_at === null ? 'enabled' : 'disabled',
    created: time(client.created_at),
    redirect_uris: client.redirect_uris,
  }
}

function describe(
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

/** Why the keys at a `jwks_uri` cannot be fetched now. The client can authenticate only when they can. */
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
