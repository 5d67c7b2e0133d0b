import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'
import { OAuthError } from './errors.ts'

/** RFC 3986 section 3.2.2: a registered name or an IPv4 address, then a port. */
const NAME = /^(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*(?::\d*)?$/
/** An IPv6 address, then a port. */
const LITERAL = /^\[([^\]]*)\](?::\d*)?$/

/**
 * RFC 9112 section 3.2: "A server MUST respond with a 400 status code to any HTTP/1.1 request message
 * that lacks a Host header field and to any request message that contains more than one Host header
 * field line or a Host header field with an invalid field value."
 */
export function assertHost({ httpVersion, rawHeaders }: IncomingMessage): void {
  const hosts: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === 'host') hosts.push(rawHeaders[index + 1] ?? '')
  }
  const [host, ...others] = hosts
  if (others.length > 0) throw invalidHost('must be given only once')
  if (host === undefined) {
    if (httpVersion === '1.0') return
    throw invalidHost('is required')
  }
  const [, address] = host.match(LITERAL) ?? []
  if (address === undefined ? !NAME.test(host) : !isIPv6(address)) throw invalidHost('is malformed')
}

function invalidHost(problem: string): OAuthError {
  return new OAuthError('invalid_request', `The Host header ${problem} (RFC 9112 section 3.2)`, {
    headers: { connection: 'close' },
  })
}
