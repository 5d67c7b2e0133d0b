import type { ApplicationPreset } from './preset.ts'

export const oauth2Proxy: ApplicationPreset = {
  title: 'oauth2-proxy',
  version: '7.15.6',
  redirect: '/oauth2/callback',
  registration: { refresh_reuse_grace: 30 },
  files: [
    {
      name: 'oauth2-proxy.cfg',
      language: 'toml',
      lines: ({ issuer, client_id, client_secret, url }) => `provider = "oidc"
oidc_issuer_url = "${issuer}"
client_id = "${client_id}"
client_secret = "${client_secret}"
redirect_url = "${url}/oauth2/callback"
scope = "openid email"
code_challenge_method = "S256"
insecure_oidc_allow_unverified_email = true
email_domains = ["*"]`,
    },
  ],
  notes: [
    'Without `code_challenge_method` no sign-in starts. `insecure_oidc_allow_unverified_email` is needed unless the operator vouches for the address (`agent update --email-verified yes`).',
    "The application behind it is told the owner's address in `X-Forwarded-Email`.",
    'It refreshes in parallel where `cookie_refresh` is set: the preset gives it a grace of 30 seconds.',
    '`/oauth2/sign_out` deletes its own cookie and nothing else. Its session outlives ours: what `grant revoke` ends here, it notices at its next refresh, so set `cookie_refresh`.',
  ],
}
