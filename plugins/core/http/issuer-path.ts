/** The path of an issuer's URL; the empty string when it has none. */
export function issuerPath(issuer: string): string {
  return new URL(issuer).pathname.replace(/\/$/, '')
}
