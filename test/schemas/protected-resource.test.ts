import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import about from 'auth-agent/package.json' with { type: 'json' }
import t from 'tap'
import {
  bearerChallenge,
  protectedResourceMetadata,
  protectedResourceMetadataUrl,
} from '../../schemas/protected-resource.ts'

t.test('RFC 9728 section 3.1: the metadata is between the host and the path', async (t) => {
  const urls = {
    'https://api.example': 'https://api.example/.well-known/oauth-protected-resource',
    'https://api.example/': 'https://api.example/.well-known/oauth-protected-resource',
    'https://api.example/mcp': 'https://api.example/.well-known/oauth-protected-resource/mcp',
    'https://api.example:8/a/?b=c':
      'https://api.example:8/.well-known/oauth-protected-resource/a/?b=c',
  }
  for (const [resource, url] of Object.entries(urls)) {
    t.equal(protectedResourceMetadataUrl(resource), url)
  }
})

t.test('RFC 9728 section 2: the metadata of a protected resource', async (t) => {
  const resource = 'https://api.example/mcp'
  const issuer = 'https://auth.example'
  t.same(protectedResourceMetadata({ resource, issuer }), {
    resource,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
  })
  t.match(protectedResourceMetadata({ resource, issuer, scopes: ['read'], name: 'The API' }), {
    scopes_supported: ['read'],
    resource_name: 'The API',
  })
})

t.test('RFC 9728 section 5.1: the challenge says where the metadata is', async (t) => {
  const metadata = 'resource_metadata="https://api.example/.well-known/oauth-protected-resource"'
  t.equal(bearerChallenge('https://api.example'), `Bearer ${metadata}`)
  t.equal(
    bearerChallenge('https://api.example', {
      error: 'insufficient_scope',
      error_description: 'More is needed',
      scope: 'read write',
    }),
    `Bearer error="insufficient_scope", error_description="More is needed", scope="read write", ${metadata}`,
  )
  t.throws(() => bearerChallenge('https://api.example', { scope: 'a", b="' }), TypeError)
})

t.test('the example for APIs runs, with what the package exports', async (t) => {
  const root = join(import.meta.dirname, '..', '..')
  const { default: built } = about.exports['./protected-resource']
  const source = built.replace('./dist/', './').replace(/js$/, 'ts')
  const page = readFileSync(join(root, 'plugins/oauth/README.md'), 'utf8')
  const [, code = ''] =
    page.match(/```ts\n(import [^`]*? from 'auth-agent\/protected-resource'\n.*?)```/s) ?? []
  const url = pathToFileURL(join(root, source)).href
  const folder = t.testdir({ 'api.ts': code.replace('auth-agent/protected-resource', url) })
  const api = await import(pathToFileURL(join(folder, 'api.ts')).href)
  t.equal(api.url, 'https://api.example/.well-known/oauth-protected-resource/mcp')
  t.match(api.document, { resource: 'https://api.example/mcp', scopes_supported: ['read'] })
  t.match(api.challenge, `resource_metadata="${api.url}"`)
})
