import { parse } from 'node:querystring'

/**
 * Form and query parameters; one without a value counts as absent (RFC 6749 section 3.1), one that
 * is repeated is an array, which no schema accepts.
 */
export function parseParameters(text: string): Record<string, string | string[]> {
  const parameters: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(parse(text))) {
    if (value !== undefined && value !== '') parameters[name] = value
  }
  return parameters
}
