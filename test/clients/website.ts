import type { Credentials } from '../harness.ts'
import { completeAuthenticationFlow } from './agent-library.ts'
import { Visitor } from './live.ts'

/**
 * Signs an agent in to a website: the visitor starts at the website, which redirects to the
 * authorization server; the agent takes over there; the visitor comes back with the callback.
 */
export async function signInAtWebsite(
  login: string,
  agent: Credentials,
  init: RequestInit = {},
): Promise<{ visitor: Visitor; authorizationUrl: URL; callback: URL; answer: Response }> {
  const visitor = new Visitor()
  const authorizationUrl = await visitor.redirectOf(login, init)
  const callback = await completeAuthenticationFlow(authorizationUrl, agent)
  const answer = await visitor.fetch(callback)
  return { visitor, authorizationUrl, callback, answer }
}
