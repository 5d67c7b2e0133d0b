import { type Static, Type } from '@sinclair/typebox'

const Models = (description: string) =>
  Type.Array(
    // Visible ASCII and spaces, with `*` only at the end.
    Type.String({ pattern: '^[^*\\u0000-\\u001f\\u007f]{0,254}([^*\\u0000-\\u001f\\u007f]|\\*)$' }),
    { maxItems: 100, description },
  )

/** Which language models may act, by the name that the agent gives. */
export const ModelPolicy = Type.Object(
  {
    allowed_models: Models(
      'Exact names, or beginnings with a trailing *; an empty list allows all',
    ),
    refused_models: Models('The same; a model in both lists is refused'),
  },
  { additionalProperties: false },
)
export type ModelPolicy = Static<typeof ModelPolicy>

/** What its owner allows an agent. */
export const AgentPolicy = Type.Composite(
  [
    Type.Object({
      sites: Type.Union(
        [
          Type.Literal('registered'),
          Type.Literal('any'),
          Type.Literal('list'),
          Type.Literal('ask'),
        ],
        {
          description:
            'The sites that the operator registered, any site, or only the allowed ones; with registered and ask, every other site needs the owner’s approval',
        },
      ),
      allowed_sites: Type.Array(
        Type.String({ pattern: '^[^\\s\\u0000-\\u001f\\u007f]{1,2048}$' }),
        {
          maxItems: 1000,
          description: 'By client_id or by redirect host',
        },
      ),
      remember_sites: Type.Boolean({
        description: 'Whether a sign-in that the owner approved is allowed again without asking',
      }),
      deliver: Type.Union([Type.Literal('any'), Type.Literal('agent')], {
        description: 'Whether only the agent may get the code',
      }),
      secret: Type.Union([Type.Literal('allow'), Type.Literal('forbid')], {
        description: 'Whether the agent may prove itself by its secret',
      }),
      approval: Type.Union([Type.Literal('mail'), Type.Literal('passkey')], {
        description:
          'How the owner approves: with the code of a mail, or with a passkey on a page and in no other way',
      }),
    }),
    ModelPolicy,
  ],
  { additionalProperties: false },
)
export type AgentPolicy = Static<typeof AgentPolicy>

export const DEFAULT_MODEL_POLICY: ModelPolicy = { allowed_models: [], refused_models: [] }

/** The policy of an agent for which none was set. */
export const DEFAULT_AGENT_POLICY: AgentPolicy = {
  sites: 'registered',
  allowed_sites: [],
  remember_sites: true,
  deliver: 'any',
  secret: 'allow',
  approval: 'mail',
  ...DEFAULT_MODEL_POLICY,
}

/** Whether a policy lets this model act. */
export function allowsModel({ allowed_models, refused_models }: ModelPolicy, model: string) {
  if (refused_models.some((pattern) => matchesModel(model, pattern))) return false
  return (
    allowed_models.length === 0 || allowed_models.some((pattern) => matchesModel(model, pattern))
  )
}

function matchesModel(model: string, pattern: string): boolean {
  return pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : model === pattern
}
