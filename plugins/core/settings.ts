import { BlockList, isIP } from 'node:net'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import fp from 'fastify-plugin'
import { parseSender } from '../../schemas/mailbox.ts'
import { isLoopback, normalHost, normalHostPattern } from '../../schemas/uri.ts'

/** Every algorithm that tokens can be signed with. */
export const SIGNING_ALGS = ['ES256', 'RS256', 'EdDSA']
/** The most that REFRESH_REUSE_GRACE can be, in seconds. */
export const MAX_REUSE_GRACE = 3600

const Seconds = (value: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 315_360_000, default: value, description })

/** Every setting, by the name of its environment variable. TTLs are in seconds. */
export const Settings = Type.Object({
  ISSUER: Type.String({
    default: 'http://localhost:8080',
    description: 'The public URL of this server, exactly as clients will compare it',
  }),
  HOST: Type.String({
    minLength: 1,
    default: 'localhost',
    description: 'The address to listen on',
  }),
  PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 8080, description: 'The port' }),
  DATABASE_URL: Type.String({
    pattern: '^sqlite:.+',
    default: 'sqlite:./data/auth-agent.db',
    description: 'Where the database is: `sqlite:` and a path, or `sqlite::memory:`',
  }),
  LOG_LEVEL: Type.Union(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) =>
      Type.Literal(level),
    ),
    { default: 'info', description: 'From `trace` to `fatal`, or `silent`' },
  ),
  ENCRYPTION_KEY: Type.Optional(
    Type.String({
      description: '32 bytes in base64url, base64 or hex that encrypt the private keys at rest',
    }),
  ),
  ENCRYPTION_KEY_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'A file that holds it; by default one beside the database, made at first start',
    }),
  ),
  TRUST_PROXY: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Addresses or networks (comma-separated) whose forwarded headers count',
    }),
  ),
  ACCESS_TOKEN_TTL: Seconds(3600, 'How long an access token lives'),
  REFRESH_TOKEN_TTL: Seconds(2_592_000, 'How long a refresh token lives while it is not used'),
  GRANT_TTL: Type.Integer({
    minimum: 0,
    maximum: 315_360_000,
    default: 0,
    description: 'How long a sign-in lasts, however often it is refreshed; 0 is unlimited',
  }),
  AUTHORIZATION_REQUEST_TTL: Seconds(600, 'How long an agent has to authenticate a request'),
  AUTHORIZATION_CODE_TTL: Type.Integer({
    minimum: 1,
    maximum: 600,
    default: 60,
    description: 'How long an authorization code lives',
  }),
  REFRESH_REUSE_GRACE: Type.Integer({
    minimum: 0,
    maximum: MAX_REUSE_GRACE,
    default: 0,
    description: 'How long a used refresh token is answered with the newest one; 0 is strict',
  }),
  PUBLIC_REFRESH_REUSE_GRACE: Type.Integer({
    minimum: 0,
    maximum: 2_592_000,
    default: 3600,
    description:
      'How long an older refresh token of a host with several processes is answered with the newest one, on networks that have used the sign-in; 0 is strict',
  }),
  ACCESS_TOKEN_ALG: Type.Union(
    SIGNING_ALGS.map((alg) => Type.Literal(alg)),
    { default: 'ES256', description: 'What signs access tokens' },
  ),
  DYNAMIC_REGISTRATION: Type.Union(
    ['off', 'token', 'open'].map((mode) => Type.Literal(mode)),
    {
      default: 'off',
      description:
        'Whether clients may register themselves: `off`, with a `token`, or `open` to all',
    },
  ),
  UNUSED_CLIENT_TTL: Seconds(
    2_592_000,
    'How long a client that registered itself is kept without use',
  ),
  CLIENT_ID_METADATA_DOCUMENTS: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description: 'Whether the URL of a metadata document is accepted as a client_id',
  }),
  CLIENT_ID_METADATA_ALLOWED_HOSTS: Type.Optional(
    Type.String({
      description: 'The only hosts of such documents (comma-separated, `*.` for all below)',
    }),
  ),
  CLIENT_ID_METADATA_DENIED_HOSTS: Type.Optional(
    Type.String({ description: 'Hosts whose documents are refused' }),
  ),
  PRIVATE_HOSTS: Type.String({
    default: 'none',
    description:
      'Hosts that documents and keys may be fetched from on private networks (comma-separated, `*.` for all below), or `none`',
  }),
  SIGNING_KEY_TTL: Seconds(7_776_000, 'How long a key signs before its successor takes over'),
  SMTP_URL: Type.Optional(
    Type.String({
      pattern: '^smtps?://',
      description:
        'The mail server that approvals are asked and owners sign in by, `smtp://` or `smtps://` and user:password@host:port; with `smtp://` STARTTLS is required, but for a server on this machine or with `?requireTLS=false`',
    }),
  ),
  MAIL_FROM: Type.Optional(
    Type.String({ description: 'The sender of these mails: an address, or `Name <address>`' }),
  ),
  OWNER_SESSION_TTL: Seconds(
    2_592_000,
    'How long an owner stays signed in to the account, at most',
  ),
  OWNER_SESSION_IDLE: Seconds(604_800, 'How long an owner stays signed in without opening a page'),
  OWNER_REGISTRATION: Type.Union([Type.Literal('off'), Type.Literal('open')], {
    default: 'off',
    description:
      'Whether anybody whose mailbox answers may have an account (`open`, needs SMTP_URL), or only whom you invite',
  }),
  THROTTLE_FAILURES: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 10,
    description:
      'How many failed attempts one network has for one agent or client; ten times as many in total',
  }),
  THROTTLE_WINDOW: Seconds(900, 'For how long failures count'),
  PENDING_REQUESTS: Type.Integer({
    minimum: 1,
    maximum: 10_000_000,
    default: 20_000,
    description: 'How many authorization requests may wait for an agent at once',
  }),
  PENDING_REQUESTS_PER_NETWORK: Type.Integer({
    minimum: 1,
    maximum: 10_000_000,
    default: 500,
    description: 'How many of them one address may have opened; wider networks a few times as many',
  }),
  UNPROVED_CLIENTS: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 2000,
    description: "How many strangers' clients are kept without a first sign-in, an hour each",
  }),
  UNPROVED_CLIENTS_PER_NETWORK: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 50,
    description:
      'How many of them one address may bring in an hour; wider networks a few times as many',
  }),
  AUDIT_RETENTION: Seconds(7_776_000, 'How long the audit trail keeps an event'),
})

export type Settings = Static<typeof Settings>

/** The invalid settings, one a line. */
export class SettingsError extends Error {
  override name = 'SettingsError'
  constructor(problems: string[]) {
    super(`Invalid settings:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  }
}

/**
 * The settings that `given` names, completed by the defaults.
 * @throws {SettingsError} that names every invalid one
 */
export function completeSettings(given: Partial<Settings>): Settings {
  const settings = Value.Default(Settings, { ...given }) as Settings
  const problems = new Map<string, string>()
  for (const { path, schema, value } of Value.Errors(Settings, settings)) {
    const name = path.slice(1)
    if (!problems.has(name))
      problems.set(name, `${name}=${showValue(name, value)}: ${describeRule(schema)}`)
  }
  if (!problems.has('ISSUER')) {
    const problem = issuerProblem(settings.ISSUER)
    if (problem) problems.set('ISSUER', `ISSUER=${settings.ISSUER}: ${problem}`)
  }
  if (settings.ENCRYPTION_KEY !== undefined && !decodeKey(settings.ENCRYPTION_KEY)) {
    problems.set('ENCRYPTION_KEY', 'ENCRYPTION_KEY: must be 32 bytes in base64url, base64 or hex')
  }
  if (!problems.has('SMTP_URL')) {
    for (const [name, problem] of Object.entries(mailProblems(settings))) {
      if (problem !== undefined) problems.set(name, `${name}: ${problem}`)
    }
  }
  if (settings.OWNER_REGISTRATION === 'open' && settings.SMTP_URL === undefined) {
    problems.set('OWNER_REGISTRATION', 'OWNER_REGISTRATION=open: needs SMTP_URL, to mail codes by')
  }
  const strangers = settings.TRUST_PROXY?.split(',').filter((part) => !isNetwork(part.trim())) ?? []
  if (strangers.length > 0) {
    problems.set(
      'TRUST_PROXY',
      `TRUST_PROXY=${settings.TRUST_PROXY}: ${quoteEach(strangers)}: not an address or a network`,
    )
  }
  for (const name of HOST_LISTS) {
    const { bad } = readHostList(settings[name])
    if (bad.length === 0) continue
    problems.set(name, `${name}=${settings[name]}: ${quoteEach(bad)}: ${HOST_LIST_RULE}`)
  }
  const { bad: neverPrivate } = readPrivateHosts(settings.PRIVATE_HOSTS)
  if (neverPrivate.length > 0 && !problems.has('PRIVATE_HOSTS')) {
    problems.set(
      'PRIVATE_HOSTS',
      `PRIVATE_HOSTS=${settings.PRIVATE_HOSTS}: ${quoteEach(neverPrivate)}: ${PRIVATE_HOSTS_RULE}`,
    )
  }
  if (problems.size > 0) throw new SettingsError([...problems.values()])
  return settings
}

/**
 * The settings that the environment names; an empty variable counts as absent. Where only the port
 * is named, the issuer follows it.
 */
export function readEnvironment(environment: NodeJS.ProcessEnv = process.env): Settings {
  const named = Object.keys(Settings.properties)
    .map((name) => [name, environment[name]])
    .filter(([, value]) => value !== undefined && value !== '')
  const given = Object.fromEntries(
    named.map(([name = '', value = '']) => [name, read(name, value)]),
  ) as Partial<Settings>
  if (given.ISSUER === undefined && given.PORT && Value.Check(Settings.properties.PORT, given.PORT))
    given.ISSUER = new URL(`http://localhost:${given.PORT}`).origin
  return completeSettings(given)
}

const HOST_LISTS = ['CLIENT_ID_METADATA_ALLOWED_HOSTS', 'CLIENT_ID_METADATA_DENIED_HOSTS'] as const
const HOST_LIST_RULE = 'must be a host without scheme, port and path, or *. and a domain'

/**
 * The patterns of a list of hosts, separated by commas, in their normal form, and the entries that
 * are not patterns.
 */
export function readHostList(text = ''): { patterns: string[]; bad: string[] } {
  const entries = text === '' ? [] : text.split(',').map((entry) => entry.trim())
  return {
    patterns: entries.flatMap((entry) => normalHostPattern(entry) ?? []),
    bad: entries.filter((entry) => normalHostPattern(entry) === undefined),
  }
}

const PRIVATE_HOSTS_RULE =
  'must be none alone, or a host without scheme, port and path, or *. and a domain; link-local addresses and cloud metadata services are never allowed'

/** As `readHostList`, for hosts that may be on private networks; `none` is not a host. */
export function readPrivateHosts(text: string): { patterns: string[]; bad: string[] } {
  if (text.trim() === 'none') return { patterns: [], bad: [] }
  const { patterns, bad } = readHostList(text)
  const never = patterns.filter((host) => {
    return host === 'none' || isNeverFetched(host.replace(/^\[|\]$/g, ''))
  })
  return { patterns, bad: [...bad, ...never] }
}

/** Link-local addresses, and other addresses of cloud metadata services, which give out secrets. */
const NEVER_FETCHED: [network: string, length: number][] = [
  ['169.254.0.0', 16],
  ['fe80::', 10],
  // Azure, Alibaba Cloud, AWS, Google Cloud, Oracle Cloud, Scaleway.
  ['168.63.129.16', 32],
  ['100.100.100.200', 32],
  ['fd00:ec2::', 32],
  ['fd20:ce::254', 128],
  ['fd00:c1::a9fe:a9fe', 128],
  ['fd00:42::42', 128],
]
const neverFetched = new BlockList()
for (const [network, length] of NEVER_FETCHED) {
  neverFetched.addSubnet(network, length, isIP(network) === 4 ? 'ipv4' : 'ipv6')
}

/** Whether an address is never fetched from, also as IPv4 address in IPv6 form. */
export function isNeverFetched(text: string): boolean {
  const address = text.replace(/%.*$/, '')
  const family = isIP(address)
  return family !== 0 && neverFetched.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

function quoteEach(entries: string[]): string {
  return entries.map((entry) => `"${entry.trim()}"`).join(', ')
}

/** Converts decimal digits to a number for a numeric setting; validation refuses every other text. */
function read(name: string, text: string): string | number {
  const { type } = Settings.properties[name as keyof Settings]
  return type === 'integer' && /^-?(0|[1-9]\d*)$/.test(text) ? Number(text) : text
}

/** The 32 bytes that ENCRYPTION_KEY or its file spells, or undefined. */
export function decodeKey(text: string): Buffer | undefined {
  const trimmed = text.trim()
  const bytes = Buffer.from(trimmed, /^[0-9a-f]{64}$/i.test(trimmed) ? 'hex' : 'base64url')
  return bytes.length === 32 ? bytes : undefined
}

/** RFC 8414 section 2: https, no query, no fragment. */
function issuerProblem(issuer: string): string | undefined {
  if (!URL.canParse(issuer)) return 'must be a URL'
  const url = new URL(issuer)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    return 'must be https, except on localhost'
  }
  if (/[?#]/.test(issuer)) return 'must have no query and no fragment'
  if (url.username || url.password) return 'must have no user and no password'
  if (issuer.endsWith('/')) return 'must not end with a slash'
  if (url.pathname !== '/' ? url.href !== issuer : url.href !== `${issuer}/`) {
    return `must be in its normal form, ${url.href.replace(/\/$/, '')}`
  }
  // Proxies, routers and cookies all spell these in the same way.
  if (!/^(\/[A-Za-z0-9._~-]+)*\/?$/.test(url.pathname)) {
    return 'must have a path of letters, digits and - . _ ~ in single slashes'
  }
  return undefined
}

function mailProblems({
  SMTP_URL,
  MAIL_FROM,
}: Settings): Record<'SMTP_URL' | 'MAIL_FROM', string | undefined> {
  return {
    SMTP_URL:
      SMTP_URL === undefined ? MAIL_FROM && 'is needed with MAIL_FROM' : smtpUrlProblem(SMTP_URL),
    MAIL_FROM:
      MAIL_FROM === undefined ? SMTP_URL && 'is needed with SMTP_URL' : senderProblem(MAIL_FROM),
  }
}

function smtpUrlProblem(text: string): string | undefined {
  // URL parsers differ on a backslash or space.
  if (!URL.canParse(text) || /[\s\\]/.test(text)) return 'must be a URL'
  const { hostname, username, password } = new URL(text)
  if (normalHost(hostname) === undefined) return 'must name a host'
  if ((username === '') !== (password === '')) return 'must have a user with a password, or neither'
  if (!isPercentEncoded(username) || !isPercentEncoded(password)) {
    return 'must have percent-encoding in user and password, such as %25 for %'
  }
  return undefined
}

function senderProblem(text: string): string | undefined {
  return parseSender(text) === undefined
    ? 'must be one e-mail address, or a name and <address>'
    : undefined
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** An address, a network in CIDR notation, or one of the names that Fastify knows. */
function isNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  if (most < 0 || rest.length > 0) return false
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= most)
}

function showValue(name: string, value: unknown): string {
  return name.startsWith('ENCRYPTION_KEY') || name === 'SMTP_URL' ? '…' : String(value)
}

function describeRule(schema: { type?: string; [keyword: string]: unknown }): string {
  if (schema.type === 'integer') {
    return `must be a whole number from ${schema.minimum} to ${schema.maximum}`
  }
  if (schema.pattern) return `must match ${schema.pattern}`
  if (Array.isArray(schema.anyOf)) {
    return `must be one of ${schema.anyOf.map((option) => option.const).join(', ')}`
  }
  return 'must be text that is not empty'
}

declare module 'fastify' {
  interface FastifyInstance {
    settings: Settings
  }
}

export default fp<{ settings: Settings }>(
  async (app, { settings }) => {
    app.decorate('settings', settings)
  },
  { name: 'settings' },
)
