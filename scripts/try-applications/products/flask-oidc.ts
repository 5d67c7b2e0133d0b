import type { Trial } from '../trial.ts'

export const flaskOidc: Trial = {
  async start(workshop) {
    const python = await workshop.python('flask-oidc==2.4.0', 'setuptools==80.9.0')
    const { issuer, client_id, client_secret } = workshop.given
    await workshop.write(
      'client_secrets.json',
      JSON.stringify({
        web: { client_id, client_secret, issuer, auth_uri: `${issuer}/authorize` },
      }),
    )
    await workshop.write(
      'website.py',
      `from flask import Flask, session
from flask_oidc import OpenIDConnect

app = Flask(__name__)
app.config.update(SECRET_KEY="not secret", OIDC_CLIENT_SECRETS="client_secrets.json")
app.config.update(OIDC_CALLBACK_ROUTE="/callback", OIDC_SCOPES="openid email")
oidc = OpenIDConnect(app)
oidc.oauth.oidc.client_kwargs["code_challenge_method"] = "S256"


@app.get("/private")
@oidc.require_login
def private():
    return session["oidc_auth_profile"]["email"]


app.run(host="localhost", port=${workshop.port})
`,
    )
    await workshop.serve(python, ['website.py'])
    return await workshop.versions(python, 'flask-oidc', 'authlib')
  },
  login: '/private',
}
