/** The challenge that every 401 must have (RFC 9110 section 15.5.2). */
export const BASIC_CHALLENGE = {
  'www-authenticate': 'Basic realm="auth-agent", charset="UTF-8"',
}

/** RFC 6750 section 3: the challenge to a request without a token names no error. */
export function bearerChallenge(error?: { code: string; description?: string }) {
  let challenge = 'Bearer realm="auth-agent"'
  if (error !== undefined) challenge += `, error="${error.code}"`
  if (error?.description !== undefined) challenge += `, error_description="${error.description}"`
  return { 'www-authenticate': challenge }
}
