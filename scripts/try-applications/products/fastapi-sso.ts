import type { Trial } from '../trial.ts'

export const fastapiSso: Trial = {
  async start(workshop) {
    const python = await workshop.python(
      'fastapi-sso==0.23.0',
      'fastapi==0.165.0',
      'uvicorn==0.39.0',
      'httpx==0.28.1',
    )
    await workshop.write(
      'website.py',
      `from fastapi import FastAPI, Request
from fastapi_sso.sso.base import OpenID
from fastapi_sso.sso.generic import create_provider

${workshop.lines}
app = FastAPI()


@app.get("/login")
async def login():
    async with sso:
        return await sso.get_login_redirect()


@app.get("/callback")
async def callback(request: Request):
    async with sso:
        return await sso.verify_and_process(request)
`,
    )
    const place = ['--host', 'localhost', '--port', String(workshop.port)]
    await workshop.serve(python, ['-m', 'uvicorn', 'website:app', ...place], {
      // It refuses http, of which this trial is made.
      env: { ...process.env, OAUTHLIB_INSECURE_TRANSPORT: '1' },
    })
    return await workshop.versions(python, 'fastapi-sso', 'fastapi')
  },
  login: '/login',
}
