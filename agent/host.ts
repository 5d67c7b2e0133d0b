/**
 * Normalises a host as URLs do: lower case, IDN as punycode, without the root's dot, without the port
 * of https. Returns undefined for any other text, such as a URL.
 */
export function normalHost(text: string): string | undefined {
  if (/[/\\?#@\s%]/.test(text) || text === '') return undefined
  if (!URL.canParse(`https://${text}/`)) return undefined
  const { host, hostname } = new URL(`https://${text}/`)
  const name = hostname.replace(/\.$/, '')
  if (!name.startsWith('[') && !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)) return undefined
  return name + host.slice(hostname.length)
}

/**
 * The normalised host of a site that was named by its host or by a URL of it. Returns undefined for
 * any other text, and for a URL with a user, which is a common way to disguise another host.
 */
export function hostOf(site: string): string | undefined {
  const [, scheme = '', authority = ''] = /^(https?:\/\/)?([^/?#]*)/i.exec(site.trim()) ?? []
  if (authority.endsWith(':')) return undefined
  const isHttp = scheme.toLowerCase() === 'http://'
  return normalHost(isHttp ? authority.replace(/:80$/, '') : authority)
}
