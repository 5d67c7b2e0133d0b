/**
 * A host as URLs have it: lower case, IDN as punycode, without the root's dot; a port is kept, unless
 * it is that of https. Undefined for what is not a host, such as a URL.
 */
export function normalHost(text: string): string | undefined {
  if (/[/\\?#@\s%]/.test(text) || text === '') return undefined
  if (!URL.canParse(`https://${text}/`)) return undefined
  const { host, hostname } = new URL(`https://${text}/`)
  const name = hostname.replace(/\.$/, '')
  if (!name.startsWith('[') && !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)) return undefined
  return name + host.slice(hostname.length)
}
