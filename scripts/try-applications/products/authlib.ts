import type { Trial } from '../trial.ts'

export const authlib: Trial = {
  async start(workshop) {
    const python = await workshop.python('authlib==1.9.10', 'flask==3.1.3', 'requests==2.34.2')
    await workshop.write(
      'website.py',
      `from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session

app = Flask(__name__)
app.secret_key = "not secret"
oauth = OAuth(app)
${workshop.lines}

@app.get("/login")
def login():
    return oauth.auth_agent.authorize_redirect("${workshop.url}/callback")

@app.get("/callback")
def callback():
    session["email"] = oauth.auth_agent.authorize_access_token()["userinfo"]["email"]
    return redirect("/")

@app.get("/")
def home():
    return f"Hello, {session.get('email')}"

app.run(host="localhost", port=${workshop.port})
`,
    )
    await workshop.serve(python, ['website.py'])
    return await workshop.versions(python, 'authlib', 'flask')
  },
  login: '/login',
}
