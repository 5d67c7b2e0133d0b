import { type Static, Type } from '@sinclair/typebox'

/** An API or MCP server that a sign-in gives access to. */
export const DescribedApi = Type.Object({
  uri: Type.String({ description: 'As the operator registered it' }),
  name: Type.Optional(Type.String({ description: 'What the operator calls it' })),
  scopes: Type.Array(Type.String(), { description: 'Those that the client gets there' }),
})
export type DescribedApi = Static<typeof DescribedApi>

/**
 * A sign-in as its owner, operator and agent are told of it: what is certain first, what others say
 * of themselves last. Every place that shows it has a word for each of its members (a `Record` with
 * these keys), so that one that is added cannot be left out anywhere.
 */
export const SignInDescription = Type.Object({
  redirect_host: Type.String({ description: 'Where the sign-in leads, with the port if unusual' }),
  client_origin: Type.Union(
    [Type.Literal('operator'), Type.Literal('dynamic'), Type.Literal('document')],
    {
      description:
        'Who vouches for the client: the operator, who registered it; nobody, since it registered itself (dynamic); or nobody but the host of its metadata document',
    },
  ),
  client_host: Type.Optional(
    Type.String({ description: 'Whose metadata document the client_id is' }),
  ),
  client_id: Type.String(),
  apis: Type.Array(DescribedApi, { description: 'What the access tokens are for' }),
  scope: Type.String({ description: 'All that was asked for and can be granted' }),
  subject: Type.Optional(
    Type.Literal('owner', {
      description: 'The client knows people by their owner; the agent is named beside it',
    }),
  ),
  opened_from: Type.Optional(
    Type.String({ description: 'The network address of whoever opened the request' }),
  ),
  opened_at: Type.Integer({ description: 'When; seconds since the epoch' }),
  agent_id: Type.Optional(Type.String({ description: 'Known when an agent has come' })),
  agent_address: Type.Optional(
    Type.String({ description: 'The network address from which the agent came' }),
  ),
  delivery: Type.Optional(
    Type.Union([Type.Literal('agent'), Type.Literal('opener')], {
      description: 'Who gets the code: the agent alone, or whoever opened the request',
    }),
  ),
  client_name: Type.String({ description: 'What the client calls itself' }),
  model: Type.Optional(Type.String({ description: 'What the agent says that its model is' })),
})
export type SignInDescription = Static<typeof SignInDescription>
