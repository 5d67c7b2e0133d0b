import { randomUUID } from 'node:crypto'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import OAuth2Strategy, { type VerifyCallback } from 'passport-oauth2'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { freePort, listen, serve } from './live.ts'
import { signInAtWebsite } from './website.ts'

t.test('an Express website signs an agent in with Passport', async (t) => {
  const { app, issuer } = await listen(t)
  const agent = await createAgent(app)
  const port = await freePort()
  const {
    client_id,
    client_secret = '',
    redirect_uri,
  } = await createSite(app, {
    redirect_uris: [`http://127.0.0.1:${port}/callback`],
  })

  const strategy = new OAuth2Strategy(
    {
      authorizationURL: `${issuer}/authorize`,
      tokenURL: `${issuer}/token`,
      clientID: client_id,
      clientSecret: client_secret,
      callbackURL: redirect_uri,
      scope: 'email',
      pkce: true,
      state: true,
    },
    async (accessToken: string, _refresh: string, _profile: unknown, done: VerifyCallback) => {
      const userinfo = await fetch(`${issuer}/userinfo`, {
        headers: { authorization: `Bearer ${accessToken}` },
      })
      done(null, (await userinfo.json()) as Express.User)
    },
  )
  const website = express()
  website.use(session({ secret: randomUUID(), resave: false, saveUninitialized: false }))
  const authenticate = passport.authenticate(strategy, { session: false })
  website.get('/login', authenticate)
  website.get('/callback', authenticate, (request, response) => {
    response.json(request.user)
  })
  const origin = await serve(t, port, website)

  const { answer } = await signInAtWebsite(`${origin}/login`, agent)
  t.same(await answer.json(), {
    sub: agent.agent_id,
    email: 'owner@example.com',
    email_verified: false,
  })
})
