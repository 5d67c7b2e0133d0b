import type { ModelPolicy } from '../../schemas/policy.ts'
import type { ClientChange } from '../core/core.ts'
import { MAX_REUSE_GRACE } from '../core/settings.ts'
import {
  choice,
  choiceOrNull,
  FieldSet,
  type Fields,
  lines,
  numberOrNull,
  text,
  textOrNull,
  yesOrNo,
} from './fields.ts'

/** What an operator can change of a website; how it authenticates is said when it is registered. */
export type ClientValues = Required<
  Omit<
    ClientChange,
    'application_type' | 'disabled_at' | 'jwks' | 'jwks_uri' | 'token_endpoint_auth_method'
  >
>

const fields: Fields<ClientValues> = {
  client_name: text('Name', { hint: 'What people see it called' }),
  redirect_uris: lines(
    'Redirect URIs',
    'One a line: where sign-ins return to, exactly. Nothing, for a website that only acts for itself',
    'none',
  ),
  grant_types: lines(
    'Grant types',
    'One a line: authorization_code, refresh_token, client_credentials',
    'none',
  ),
  scope: textOrNull('Scopes', 'every scope', {
    hint: 'The only ones that it may ask for, separated by spaces. Nothing here: it may ask for every scope',
  }),
  default_resource: textOrNull('API of its tokens', 'this server', {
    hint: 'The URI of the API that its tokens are for where it names none, because its software cannot',
  }),
  subject: choice('Whom its tokens name', {
    agent: 'The agent: two agents of one owner are two users there',
    owner: 'The owner, with the agent named beside: all of an owner’s agents are one user there',
  }),
  post_logout_redirect_uris: lines(
    'URIs after signing out',
    'One a line: where a browser may return to after signing out, exactly',
    'none',
  ),
  backchannel_logout_uri: textOrNull('Where it is told that a sign-in has ended', 'nowhere', {
    hint: 'An https URL of its own, to which a logout token is posted',
  }),
  legacy_polling: yesOrNo(
    'Agents without a browser',
    'They may poll /api/check-status for the code',
    'they may poll /api/check-status for the code',
    'they may not poll for the code',
  ),
  id_token_signed_response_alg: choice('What signs its ID Tokens', {
    RS256: 'RS256',
    ES256: 'ES256',
  }),
  refresh_reuse: choiceOrNull(
    'Whether a used refresh token may come again',
    'As is usual for its kind',
    {
      strict: 'Never: it ends the sign-in',
      'known-networks': 'From networks that the sign-in is known by',
    },
  ),
  refresh_reuse_grace: numberOrNull(
    'For how many seconds a used refresh token gets the newest one',
    "the server's own",
    { hint: "Nothing here: the server's own", minimum: 0, maximum: MAX_REUSE_GRACE },
  ),
}

export const clientFields = new FieldSet<ClientValues>(fields)

/** How a website that is registered proves to be itself. */
interface NewClientValues extends Omit<ClientValues, 'legacy_polling'> {
  legacy_polling: 'yes' | 'no' | null
  authentication: 'secret' | 'public' | 'keys'
  jwks_uri: string | null
  jwks: string | null
}

const { legacy_polling: _, ...others } = fields

export const newClientFields = new FieldSet<NewClientValues>({
  ...others,
  authentication: choice('How it proves to be itself', {
    secret: 'By a secret, which is shown once',
    public: 'It cannot keep a secret: a native or single-page application',
    keys: 'By keys of its own, at a URL or as given here',
  }),
  jwks_uri: textOrNull('The URL of its keys', 'none', { hint: 'https, for a website with keys' }),
  jwks: textOrNull('Or the keys', 'none', {
    hint: 'Public keys as a JSON Web Key Set, on one line',
  }),
  legacy_polling: choiceOrNull('Agents without a browser', 'As is usual for its kind', {
    yes: 'They may poll /api/check-status for the code',
    no: 'They may not',
  }),
})

export const modelFields = new FieldSet<ModelPolicy>({
  allowed_models: lines(
    'Models that it takes',
    'One a line: a name, or its beginning with * at the end. Nothing here means every model',
    'every model',
  ),
  refused_models: lines(
    'Models that it refuses',
    'The same. What stands here is refused even if the list above allows it',
    'none',
  ),
})
