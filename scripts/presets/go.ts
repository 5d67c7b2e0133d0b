import type { ApplicationPreset } from './preset.ts'

export const hashicorpCap: ApplicationPreset = {
  title: 'hashicorp/cap (Go)',
  version: '0.15.0',
  redirect: '/callback',
  files: [
    {
      name: 'the application',
      language: 'go',
      lines: ({ issuer, client_id, client_secret, url }) => `config, err := oidc.NewConfig(
	"${issuer}", "${client_id}", "${client_secret}",
	[]oidc.Alg{oidc.RS256}, []string{"${url}/callback"},
)
if err != nil {
	log.Fatal(err)
}
provider, err := oidc.NewProvider(config)
if err != nil {
	log.Fatal(err)
}
verifier, err := oidc.NewCodeVerifier()
if err != nil {
	log.Fatal(err)
}
request, err := oidc.NewRequest(2*time.Minute, "${url}/callback",
	oidc.WithPKCE(verifier), oidc.WithScopes("openid", "email"))
if err != nil {
	log.Fatal(err)
}`,
    },
  ],
  notes: [
    'Without `oidc.WithPKCE` no sign-in starts. Make a verifier and a request for each sign-in; the lines show one.',
    'The claims are in the ID Token that `provider.Exchange` returns, already verified.',
  ],
}
