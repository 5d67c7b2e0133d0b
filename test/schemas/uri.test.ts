import t from 'tap'
import { matchesRedirectUri, redirectUriProblem } from '../../schemas/client.ts'

t.test('OAuth 2.1 section 1.5: a redirect URI is https, except on the loopback', async (t) => {
  for (const good of [
    'https://site.example/callback',
    'http://localhost/callback',
    'http://localhost:3000/callback',
    'http://127.0.0.1/callback',
    'http://[::1]:9/callback',
  ]) {
    t.equal(redirectUriProblem(good), undefined, good)
  }
  for (const bad of [
    'http://site.example/callback',
    'http://localhost.site.example/callback',
    'http://10.0.0.1/callback',
    'ftp://site.example/callback',
    'javascript:alert(1)',
    'data:text/html,x',
  ]) {
    t.match(redirectUriProblem(bad), /must/, bad)
  }
})

t.test('OAuth 2.1 section 2.3.1: a redirect URI is complete and has no fragment', async (t) => {
  for (const bad of [
    '/callback',
    '//site.example/callback',
    'site.example/callback',
    '',
    'https://site.example/callback#part',
    'https://site.example/callback#',
    'https://*.site.example/callback',
    'https://user:password@site.example/callback',
    'https://site.example/call back',
  ]) {
    t.type(redirectUriProblem(bad), 'string', bad)
  }
})

t.test('OAuth 2.1 section 2.3.1: redirect URIs are compared as strings', async (t) => {
  const registered = 'https://site.example/callback'
  t.equal(matchesRedirectUri(registered, registered), true)
  for (const other of [
    'https://site.example/Callback',
    'https://SITE.example/callback',
    'https://site.example/callback/',
    'https://site.example/callback?x=1',
    'https://site.example:443/callback',
    'https://site.example/call%62ack',
    'https://user@site.example/callback',
    'http://site.example/callback',
  ]) {
    t.equal(matchesRedirectUri(other, registered), false, other)
  }
})
