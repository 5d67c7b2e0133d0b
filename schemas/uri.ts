/** Whether a URL's host names this very machine (RFC 8252 section 7.3, and `localhost`). */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
