/** A mail as it is read, without its encoding for the way (quoted-printable, RFC 2045 section 6.7). */
export function text(mail: string = ''): string {
  const bytes = mail
    .replaceAll('=\r\n', '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
