import type { ApplicationPreset } from './preset.ts'

export const authlib: ApplicationPreset = {
  title: 'Authlib (Flask)',
  version: '',
  redirect: '/callback',
  files: [
    {
      name: 'the application',
      language: 'python',
      lines: ({ issuer, client_id, client_secret }) => `oauth.register(
    "auth_agent",
    client_id="${client_id}",
    client_secret="${client_secret}",
    server_metadata_url="${issuer}/.well-known/openid-configuration",
    client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
)`,
    },
  ],
  notes: [
    'Without `code_challenge_method` no sign-in starts. The claims are in `authorize_access_token()["userinfo"]`; name users by `sub` (the agent) or `email` (its owner).',
    'It has no sign-out of its own: forget the session of the website.',
  ],
}

export const djangoAllauth: ApplicationPreset = {
  title: 'django-allauth',
  version: '',
  redirect: '/accounts/oidc/auth-agent/login/callback/',
  files: [
    {
      name: 'settings.py',
      language: 'python',
      lines: ({ issuer, client_id, client_secret }) => `SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "auth-agent",
                "name": "Auth Agent",
                "client_id": "${client_id}",
                "secret": "${client_secret}",
                "settings": {"server_url": "${issuer}"},
            }
        ],
    }
}`,
    },
  ],
  notes: [],
}

export const mozillaDjangoOidc: ApplicationPreset = {
  title: 'mozilla-django-oidc',
  version: '',
  redirect: '/oidc/callback/',
  files: [
    {
      name: 'settings.py',
      language: 'python',
      lines: ({ issuer, client_id, client_secret }) => `OIDC_RP_CLIENT_ID = "${client_id}"
OIDC_RP_CLIENT_SECRET = "${client_secret}"
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_RP_SCOPES = "openid email"
OIDC_USE_PKCE = True
OIDC_OP_AUTHORIZATION_ENDPOINT = "${issuer}/authorize"
OIDC_OP_TOKEN_ENDPOINT = "${issuer}/token"
OIDC_OP_USER_ENDPOINT = "${issuer}/userinfo"
OIDC_OP_JWKS_ENDPOINT = "${issuer}/.well-known/jwks.json"`,
    },
  ],
  notes: [],
}

export const socialAuth: ApplicationPreset = {
  title: 'social-auth-app-django',
  version: '',
  redirect: '/complete/oidc/',
  files: [
    {
      name: 'settings.py',
      language: 'python',
      lines: ({
        issuer,
        client_id,
        client_secret,
      }) => `AUTHENTICATION_BACKENDS = ["social_core.backends.open_id_connect.OpenIdConnectAuth"]
SOCIAL_AUTH_OIDC_OIDC_ENDPOINT = "${issuer}"
SOCIAL_AUTH_OIDC_KEY = "${client_id}"
SOCIAL_AUTH_OIDC_SECRET = "${client_secret}"
SOCIAL_AUTH_OIDC_SCOPE = ["openid", "email"]
SOCIAL_AUTH_OIDC_IGNORE_DEFAULT_SCOPE = True
SOCIAL_AUTH_OIDC_USE_PKCE = True
SOCIAL_AUTH_OIDC_USERNAME_KEY = "email"`,
    },
  ],
  notes: [],
}

export const fastapiSso: ApplicationPreset = {
  title: 'fastapi-sso',
  version: '0.23.0',
  redirect: '/callback',
  files: [
    {
      name: 'the application',
      language: 'python',
      lines: ({ issuer, client_id, client_secret, url }) => `AuthAgentSSO = create_provider(
    name="auth-agent",
    default_scope=["openid", "email"],
    discovery_document={
        "authorization_endpoint": "${issuer}/authorize",
        "token_endpoint": "${issuer}/token",
        "userinfo_endpoint": "${issuer}/userinfo",
    },
    response_convertor=lambda user, _: OpenID(id=user["sub"], email=user["email"]),
)
AuthAgentSSO.uses_pkce = True
sso = AuthAgentSSO("${client_id}", "${client_secret}", "${url}/callback")`,
    },
  ],
  notes: [],
}

export const jupyterHub: ApplicationPreset = {
  title: 'JupyterHub (oauthenticator)',
  version: '',
  redirect: '/hub/oauth_callback',
  files: [
    {
      name: 'jupyterhub_config.py',
      language: 'python',
      lines: ({
        issuer,
        client_id,
        client_secret,
        url,
      }) => `c.JupyterHub.authenticator_class = "generic-oauth"
c.GenericOAuthenticator.client_id = "${client_id}"
c.GenericOAuthenticator.client_secret = "${client_secret}"
c.GenericOAuthenticator.oauth_callback_url = "${url}/hub/oauth_callback"
c.GenericOAuthenticator.authorize_url = "${issuer}/authorize"
c.GenericOAuthenticator.token_url = "${issuer}/token"
c.GenericOAuthenticator.userdata_url = "${issuer}/userinfo"
c.GenericOAuthenticator.scope = ["openid", "email"]
c.GenericOAuthenticator.username_claim = "email"
c.GenericOAuthenticator.allow_all = True`,
    },
  ],
  notes: [],
}

export const streamlit: ApplicationPreset = {
  title: 'Streamlit',
  version: '',
  redirect: '/oauth2callback',
  files: [
    {
      name: '.streamlit/secrets.toml',
      language: 'toml',
      lines: ({ issuer, client_id, client_secret, url }) => `[auth]
redirect_uri = "${url}/oauth2callback"
cookie_secret = "TWO_HUNDRED_AND_FIFTY_SIX_RANDOM_BITS"
client_id = "${client_id}"
client_secret = "${client_secret}"
server_metadata_url = "${issuer}/.well-known/openid-configuration"
client_kwargs = { scope = "openid email", code_challenge_method = "S256" }`,
    },
  ],
  notes: [],
}
