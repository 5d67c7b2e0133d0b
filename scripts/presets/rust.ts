import type { ApplicationPreset } from './preset.ts'

export const openidconnect: ApplicationPreset = {
  title: 'openidconnect (Rust)',
  version: '4.1.0',
  redirect: '/callback',
  files: [
    {
      name: 'the application',
      language: 'rust',
      lines: ({
        issuer,
        client_id,
        client_secret,
        url,
      }) => `let metadata = CoreProviderMetadata::discover(
    &IssuerUrl::new("${issuer}".to_string())?,
    &http_client,
)?;
let client = CoreClient::from_provider_metadata(
    metadata,
    ClientId::new("${client_id}".to_string()),
    Some(ClientSecret::new("${client_secret}".to_string())),
)
.set_redirect_uri(RedirectUrl::new("${url}/callback".to_string())?);
let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
let (authorization_url, state, nonce) = client
    .authorize_url(
        CoreAuthenticationFlow::AuthorizationCode,
        CsrfToken::new_random,
        Nonce::new_random,
    )
    .add_scope(Scope::new("email".to_string()))
    .set_pkce_challenge(challenge)
    .url();`,
    },
  ],
  notes: [
    'Without `set_pkce_challenge` no sign-in starts; `set_pkce_verifier` belongs to `exchange_code`. Make both for each sign-in; the lines show one.',
    '`id_token().claims(&client.id_token_verifier(), &nonce)` verifies the ID Token and has the `email`.',
  ],
}
