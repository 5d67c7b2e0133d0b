import { html } from 'ghtml'

/** Headers of every page: nothing from elsewhere, no framing, no caching, no referrer. */
export function pageHeaders(nonce: string): Record<string, string> {
  return {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': [
      "default-src 'none'",
      `script-src 'nonce-${nonce}'`,
      `style-src 'nonce-${nonce}'`,
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  }
}

export interface Page {
  title: string
  /** Goes into the head, as it is. */
  head?: string
  /** The page's own part, as it is. */
  main: string
  /** Of the Content-Security-Policy. */
  nonce: string
}

/** The frame that the pages share. */
export function layout({ title, head = '', main, nonce }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style nonce="${nonce}">body { font: 1rem/1.5 system-ui, sans-serif; color-scheme: light dark; }</style>
!${head}
</head>
<body>
<main>!${main}</main>
</body>
</html>
`
}
