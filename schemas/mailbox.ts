import { normalHost } from './uri.ts'

/** A mailbox with the name that is shown beside it. */
export interface NamedMailbox {
  name: string
  address: string
}

/** RFC 5322 section 3.2.3: the text that needs no quotes. */
const dotAtom = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * One mailbox (RFC 5321 section 4.1.2) in its normal form: a local part that needs no quotes, and a
 * domain in lower case, IDN as punycode. Undefined for anything else: lists, groups, comments, names,
 * quoted local parts, address literals, and everything that a mail program could parse as two addresses.
 */
export function normalMailbox(text: string): string | undefined {
  const at = text.lastIndexOf('@')
  const local = text.slice(0, at)
  const given = text.slice(at + 1)
  if (at < 1 || local.length > 64 || !dotAtom.test(local)) return undefined
  // Only letters and digits of any script: the URL parser would turn some other characters into dots.
  if (!/^[\p{L}\p{M}\p{N}-]+(\.[\p{L}\p{M}\p{N}-]+)*$/u.test(given)) return undefined
  const domain = normalHost(given) ?? ''
  const labels = domain.split('.')
  // A numeric last label means an IPv4 address, in any of its forms.
  if (!labels.every((each) => label.test(each)) || /^\d+$/.test(labels.at(-1) ?? '')) {
    return undefined
  }
  const mailbox = `${local}@${domain}`
  return mailbox.length > 254 || domain.length > 253 ? undefined : mailbox
}

/** A sender: a mailbox, or `Name <mailbox>` with the name in quotes or without. */
export function parseSender(text: string): NamedMailbox | undefined {
  const bare = normalMailbox(text)
  if (bare !== undefined) return { name: '', address: bare }
  const [, quoted, plain, given = ''] =
    text.match(/^(?:"([^"\\\p{C}]+)"|([^"\\<>()[\]:;@,\p{C}]+?)) *<([^<>]*)>$/u) ?? []
  const address = normalMailbox(given)
  const name = (quoted ?? plain ?? '').trim()
  return address === undefined || name === '' ? undefined : { name, address }
}
