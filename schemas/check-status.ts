import { type Static, Type } from '@sinclair/typebox'

export const CheckStatusQuery = Type.Object({
  request_id: Type.String({ minLength: 1 }),
  wait: Type.Optional(
    Type.String({
      pattern: '^\\d{1,4}$',
      description: 'Seconds (up to 25) to hold the answer until the status changes',
    }),
  ),
})
export type CheckStatusQuery = Static<typeof CheckStatusQuery>

/** The form that is posted to `redirect_to` (OAuth 2.0 Form Post Response Mode section 2). */
export const FormPost = Type.Record(Type.String(), Type.String(), {
  description: 'With response_mode=form_post: the members of the form to post to redirect_to',
})

/** The members from `redirect_to` on are only for the opener of the request. */
export const CheckStatusResponse = Type.Object(
  {
    status: Type.Union([
      Type.Literal('pending'),
      Type.Literal('authenticated'),
      Type.Literal('completed'),
      Type.Literal('error'),
    ]),
    error: Type.Optional(
      Type.Union([
        Type.Literal('request_expired'),
        Type.Literal('access_denied'),
        Type.Literal('unauthorized_client', {
          description: 'Signed in, but only the agent gets the code, in its own answer',
        }),
      ]),
    ),
    error_description: Type.Optional(Type.String()),
    deliver: Type.Optional(
      Type.Literal('agent', {
        description: 'The agent continues by itself: only it gets the redirect_to',
      }),
    ),
    redirect_to: Type.Optional(Type.String()),
    form_post: Type.Optional(FormPost),
    code: Type.Optional(Type.String()),
    state: Type.Optional(Type.String()),
    redirect_uri: Type.Optional(Type.String()),
  },
  { description: 'The status of the request' },
)
export type CheckStatusResponse = Static<typeof CheckStatusResponse>
