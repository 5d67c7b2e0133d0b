import { type Static, Type } from '@sinclair/typebox'

/** An API or MCP server that a sign-in gives access to. */
export const DescribedApi = Type.Object({
  uri: Type.String({ description: 'As the operator registered it' }),
  name: Type.Optional(Type.String({ description: 'The name that the operator gave it' })),
  scopes: Type.Array(Type.String(), { description: 'The scopes that the client gets there' }),
})
export type DescribedApi = Static<typeof DescribedApi>

/**
 * The description of a sign-in for its owner, operator and agent: checked facts first, what others say of
 * themselves last. Every place that shows it has a `Record` with a label for each member, so that the
 * compiler demands a label for a new member everywhere.
 */
export const SignInDescription = Type.Object({
  redirect_host: Type.String({
    description: 'The host that the sign-in returns to, with its port if that is unusual',
  }),
  client_origin: Type.Union(
    [Type.Literal('operator'), Type.Literal('dynamic'), Type.Literal('document')],
    {
      description:
        'Who vouches for the client: the operator, who registered it; nobody, since it registered itself (dynamic); or nobody but the host of its metadata document',
    },
  ),
  client_host: Type.Optional(
    Type.String({ description: 'The host of the metadata document that is the client_id' }),
  ),
  client_id: Type.String(),
  apis: Type.Array(DescribedApi, { description: 'What the access tokens are for' }),
  scope: Type.String({ description: 'The part of the requested scope that can be granted' }),
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
      description: 'Who gets the code: only the agent, or the opener of the request',
    }),
  ),
  client_name: Type.String({ description: 'What the client calls itself' }),
  model: Type.Optional(Type.String({ description: 'What the agent calls its model' })),
})
export type SignInDescription = Static<typeof SignInDescription>
