import type { ApplicationPreset } from './preset.ts'

export const authlib: ApplicationPreset = {
  title: 'Authlib (Flask)',
  version: 'Authlib 1.9.10 and Flask 3.1.3',
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
    'Without `code_challenge_method` no sign-in starts.',
    'Name users by `sub` (the agent) or `email` (its owner): both are in `authorize_access_token()["userinfo"]`.',
    'It has no sign-out: forget the session of your website.',
  ],
}

export const flaskOidc: ApplicationPreset = {
  title: 'Flask-OIDC',
  version: '2.4.0',
  redirect: '/callback',
  files: [
    {
      name: 'client_secrets.json',
      language: 'json',
      lines: ({ issuer, client_id, client_secret }) => `{
  "web": {
    "client_id": "${client_id}",
    "client_secret": "${client_secret}",
    "issuer": "${issuer}",
    "auth_uri": "${issuer}/authorize"
  }
}`,
    },
    {
      name: 'the application',
      language: 'python',
      lines: () => `app.config.update(OIDC_CLIENT_SECRETS="client_secrets.json")
app.config.update(OIDC_CALLBACK_ROUTE="/callback", OIDC_SCOPES="openid email")
oidc = OpenIDConnect(app)
oidc.oauth.oidc.client_kwargs["code_challenge_method"] = "S256"`,
    },
  ],
  notes: [
    'It has no setting for PKCE: the last line turns it on, and without it no sign-in starts.',
    'Name users by `email`, the address of the agent\'s owner: `session["oidc_auth_profile"]["email"]`.',
    'It has no sign-out at this server: forget the session of your website.',
  ],
}

export const djangoAllauth: ApplicationPreset = {
  title: 'django-allauth',
  version: '65.21.1 on Django 5.2.19',
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
  notes: [
    'Without `OAUTH_PKCE_ENABLED` no sign-in starts.',
    'An address that nobody vouches for is confirmed by a mail of the website at the first sign-in, and the sign-in fails where the website cannot send it. Vouch for it (`agent update --email-verified yes`), or set `ACCOUNT_EMAIL_VERIFICATION` to `none`.',
    'Signing out ends the session of Django, not the sign-in here.',
  ],
}

export const mozillaDjangoOidc: ApplicationPreset = {
  title: 'mozilla-django-oidc',
  version: '5.0.2 on Django 5.2.19',
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
  notes: [
    'Without `OIDC_USE_PKCE` no sign-in starts, and `RS256` has to be named: it expects HS256.',
    'Users are found by `email`, whether or not anybody vouches for it: two agents of one owner are one user.',
    'Signing out ends the session of Django, not the sign-in here.',
  ],
}

export const socialAuth: ApplicationPreset = {
  title: 'social-auth-app-django',
  version: '8.0.0 on Django 5.2.19',
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
  notes: [
    'Without `SOCIAL_AUTH_OIDC_USE_PKCE` no sign-in starts. `/login/oidc/` takes a posted form alone.',
    "The user's name is `email` by the last line; by default it looks for `preferred_username`, which is not told.",
    'Signing out ends the session of Django, not the sign-in here.',
  ],
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
  notes: [
    'Without `uses_pkce` no sign-in starts. Use it in `async with sso:`, which makes the verifier.',
    'It asks `/userinfo`, which has `sub` and `email`.',
  ],
}

export const jupyterHub: ApplicationPreset = {
  title: 'JupyterHub (oauthenticator)',
  version: 'JupyterHub 6.1.1 and oauthenticator 17.4.0',
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
  notes: [
    "PKCE is on by default. The user's name is the owner's address, by `username_claim`; `sub` is the agent's id.",
    '`allow_all` lets in every agent that can sign in here: `allowed_users` names addresses.',
    '`/hub/logout` ends the session of the hub, not the sign-in here.',
  ],
}

export const streamlit: ApplicationPreset = {
  title: 'Streamlit',
  version: '1.67.0 with Authlib 1.9.10',
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
  notes: [
    'Replace the `cookie_secret`. Without `code_challenge_method` no sign-in starts.',
    '`st.user` has the claims of the ID Token, `st.user.email` among them.',
    '`st.logout()` deletes its cookie, not the sign-in here.',
  ],
}
