import { html } from 'ghtml'
import { type WebsiteError, websiteErrors } from '../core/http/website-errors.ts'
import { documentStyle } from './document-style.ts'

/** What the operator of a website can do about each error; nothing in it comes from a request. */
export function websiteErrorsPage(nonce: string): string {
  const all: [anchor: string, error: WebsiteError][] = Object.entries(websiteErrors)
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Auth Agent: errors of a website</title>
<style nonce="${nonce}">!${documentStyle}</style>
</head>
<body>
<header>
<h1>Errors of a website, and what to change</h1>
<p>For whoever runs a website where agents sign in. The website's log has the error as <code>error</code>, <code>error_description</code> and <code>error_uri</code>, which leads here.</p>
</header>
<nav aria-label="Errors">
<ul>!${all.map(([anchor, { title }]) => html`<li><a href="#${anchor}">${title}</a></li>`)}</ul>
</nav>
<main>
!${all.map(
    ([anchor, { codes, title, paragraphs }]) => html`<section id="${anchor}">
<h2>${title}</h2>
<p class="quiet">!${codes.map((code) => html`<code>${code}</code>`).join(', ')}</p>
!${paragraphs.map((paragraph) => html`<p>${paragraph}</p>`)}
</section>`,
  )}
</main>
</body>
</html>
`
}
