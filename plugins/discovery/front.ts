import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { errors } from '../../schemas/answers.ts'
import { sendFramed } from '../pages/frame.ts'

/** GET /: what this server is, for whom, and where to go on. */
const front: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/',
    {
      schema: {
        operationId: 'readFront',
        summary: 'What this server is, and where to go on',
        description: 'A page for browsers, links in JSON for everybody else',
        tags: ['Discovery'],
        security: [],
        produces: ['application/json', 'text/html'],
        response: {
          200: {
            description: 'The links',
            content: {
              'application/json': { schema: Front },
              'text/html': { schema: Type.String() },
            },
          },
          ...errors(),
        },
      },
    },
    async (request, reply) => {
      reply.header('vary', 'accept')
      const links = findLinks()
      if (!prefersHtml(request.headers.accept)) {
        const { ISSUER: issuer } = app.settings
        return reply.send({
          name: 'Auth Agent',
          issuer,
          links: Object.fromEntries(links.map(({ name, path }) => [name, `${issuer}/${path}`])),
        })
      }
      const signedIn = await app.sessions.find(request)
      const items = links
        .filter(({ operator }) => !operator || signedIn?.owner.operator)
        .map(
          ({ path, label, text }) =>
            html`<section class="card"><h2 class="title"><a href="${path}">${label}</a></h2><p>${text}</p></section>`,
        )
      return sendFramed(app, reply, {
        title: 'AI agents sign in here',
        ...(signedIn && { signedIn }),
        main: html`<p>This server lets AI agents sign in to websites for the people they work for. A website sends its visitor here, the agent proves itself, and the website receives a code. No password is typed anywhere.</p>
!${items.join('\n')}
<p class="quiet">The issuer is <code>${app.settings.ISSUER}</code>.</p>`,
      })
    },
  )

  /** What is served here of the places to go on to. */
  function findLinks(): Link[] {
    return LINKS.filter(({ path }) => app.hasRoute({ method: 'GET', url: `/${path}` }))
  }
}

interface Link {
  name: string
  /** Relative to the issuer. */
  path: string
  label: string
  text: string
  /** Whether only operators can go there. */
  operator?: true
}

const LINKS: Link[] = [
  {
    name: 'account',
    path: 'account',
    label: 'Your account',
    text: 'For people whose agents sign in here: see where they are signed in, approve, and stop them.',
  },
  {
    name: 'console',
    path: 'console',
    label: 'Console',
    text: 'For operators of this server.',
    operator: true,
  },
  {
    name: 'documentation',
    path: 'docs',
    label: 'Documentation',
    text: 'For developers of websites, APIs and agents: every endpoint.',
  },
  {
    name: 'openapi',
    path: 'openapi.json',
    label: 'API description',
    text: 'The same for programs, in OpenAPI 3.1.',
  },
  {
    name: 'instructions',
    path: 'llms.txt',
    label: 'Instructions for agents',
    text: 'How an agent signs in, in plain words.',
  },
  {
    name: 'authorization_server_metadata',
    path: '.well-known/oauth-authorization-server',
    label: 'OAuth metadata',
    text: 'What this server can do, for OAuth software (RFC 8414).',
  },
  {
    name: 'openid_configuration',
    path: '.well-known/openid-configuration',
    label: 'OpenID Connect metadata',
    text: 'The same for OpenID Connect software.',
  },
]

const Front = Type.Object(
  {
    name: Type.String(),
    issuer: Type.String({ description: 'The URL that identifies this server' }),
    links: Type.Record(Type.String(), Type.String(), { description: 'URLs, by what is there' }),
  },
  { description: 'What this server is, and where to go on' },
)

/** Whether a caller asks for a page, as browsers do, and does not ask for JSON before it. */
function prefersHtml(accept = ''): boolean {
  const html = accept.indexOf('text/html')
  const json = accept.indexOf('application/json')
  return html >= 0 && (json < 0 || html < json)
}

export default fp(front, {
  name: 'discovery/front',
  encapsulate: true,
  decorators: { fastify: ['sessions', 'settings'] },
})
