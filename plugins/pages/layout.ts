import { html } from 'ghtml'

/**
 * Headers of every page: nothing from elsewhere, no framing, no referrer.
 * @param formAction the URL that the page's form goes to
 */
export function pageHeaders(nonce: string, formAction?: string): Record<string, string> {
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': [
      "default-src 'none'",
      `script-src 'nonce-${nonce}'`,
      `style-src 'nonce-${nonce}'`,
      "connect-src 'self'",
      "base-uri 'none'",
      `form-action ${formAction === undefined ? "'none'" : formSources(formAction)}`,
      "frame-ancestors 'none'",
    ].join('; '),
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  }
}

/**
 * Where a form for this URL may go: anywhere with its scheme, or a better one. Browsers hold the
 * website's answer to the form against the policy too, and websites lead on to other origins of theirs.
 */
function formSources(url: string): string {
  return new URL(url).protocol === 'https:' ? 'https:' : 'http: https:'
}

/** What the symbol beside the status shows. */
export type PageState = 'waiting' | 'finished' | 'error'

export interface Page {
  title: string
  /** Goes into the head, before anything that others named, as it is. */
  head?: string
  state: PageState
  /** The page's own part, as it is. */
  main: string
  /** What stands below it, as it is. */
  footer: string
  /** Of the Content-Security-Policy. */
  nonce: string
}

/** The frame that the pages share. */
export function layout({ title, head = '', state, main, footer, nonce }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
!${head}
<title>${title}</title>
<style nonce="${nonce}">!${style}</style>
</head>
<body>
<main data-state="${state}">
!${main}
</main>
<footer>!${footer}</footer>
</body>
</html>
`
}

/** Decoration: a turning ring, a tick or an exclamation mark, as `data-state` of main says. */
export const symbol = `<svg class="symbol" viewBox="0 0 40 40" aria-hidden="true" focusable="false">
<circle class="track" cx="20" cy="20" r="17"/><path class="ring" d="M20 3a17 17 0 0 1 17 17"/>
<path class="tick" d="m12.5 20.5 5.2 5.2 10-11"/><path class="mark" d="M20 11.5v11M20 28v.2"/>
</svg>`

/** The colours of every page, for light and dark. */
export const palette = `:root {
  color-scheme: light dark;
  --ground: light-dark(#f3f5f8, #0f1319);
  --card: light-dark(#ffffff, #191f28);
  --line: light-dark(#dce1e9, #303846);
  --text: light-dark(#1b2230, #e9edf4);
  --quiet: light-dark(#545e70, #a9b3c3);
  --accent: light-dark(#2b57d0, #93b3ff);
  --good: light-dark(#156b3d, #74d6a4);
  --bad: light-dark(#ad2a20, #ffa59c);
  --caution: light-dark(#fff4d6, #322a12);
  --caution-text: light-dark(#5a4300, #f2dc9a);
}`

const style = `${palette}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; min-height: 100dvh; padding: 1.5rem 1rem;
  display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 1.25rem;
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  color: var(--text); background: var(--ground);
}
main, footer { width: 100%; max-width: 30rem; }
main {
  padding: clamp(1.25rem, 6vw, 2.25rem); background: var(--card);
  border: 1px solid var(--line); border-radius: 1rem;
  box-shadow: 0 1px 2px rgb(0 0 0 / .05), 0 12px 32px rgb(0 0 0 / .07);
}
h1 {
  margin: 0 0 1.5rem; font-size: clamp(1.3rem, 5vw, 1.6rem); line-height: 1.3; font-weight: 650;
  letter-spacing: -.01em; text-wrap: balance;
}
h1, .name, dd, code { overflow-wrap: anywhere; }
.name { overflow: hidden; max-height: 7.8em; display: inline-block; vertical-align: bottom; max-width: 100%; }
p { margin: 0; }
.status { display: flex; gap: 1rem; align-items: flex-start; }
.status strong { display: block; font-size: 1.1rem; font-weight: 600; }
.status span { color: var(--quiet); }
.symbol {
  flex: none; width: 2.5rem; height: 2.5rem; margin-top: .3rem;
  color: var(--accent); fill: none; stroke: currentColor; stroke-width: 3; stroke-linecap: round; stroke-linejoin: round;
}
.track { stroke: var(--line); }
.tick, .mark { display: none; }
[data-state="finished"] .symbol { color: var(--good); }
[data-state="error"] .symbol { color: var(--bad); }
[data-state="finished"] .tick, [data-state="error"] .mark { display: inline; }
[data-state="finished"] .track, [data-state="error"] .track { stroke: currentColor; opacity: .3; }
[data-state="finished"] .ring, [data-state="error"] .ring { display: none; }
@media (prefers-reduced-motion: no-preference) {
  .ring { transform-origin: 50% 50%; animation: turn 1.6s linear infinite; }
  @keyframes turn { to { transform: rotate(1turn); } }
}
.caution {
  margin-top: 1.5rem; padding: .8rem 1rem; border-radius: .6rem; font-size: .94rem;
  color: var(--caution-text); background: var(--caution); border: 1px solid currentColor;
}
dl { margin: 1.5rem 0 0; padding-top: 1.1rem; border-top: 1px solid var(--line); font-size: .94rem; }
dl div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .2rem 0; }
dt { flex: 0 0 8rem; color: var(--quiet); }
dd { flex: 1 1 12rem; min-width: 0; margin: 0; }
details { margin-top: 1rem; font-size: .94rem; }
details p { margin-top: .5rem; color: var(--quiet); }
summary { width: fit-content; padding: .15rem 0; color: var(--quiet); cursor: pointer; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; user-select: all; color: var(--text); }
button {
  margin-top: 1.5rem; padding: .6rem 1.2rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--card); background: var(--accent); border: 1px solid transparent; border-radius: .6rem;
}
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: .3rem; }
[hidden], [data-state="error"] :is(dl, details, .caution) { display: none; }
dd strong { font-weight: 600; }
.steps { margin-top: 1.5rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
.steps p + p { margin-top: .6rem; }
footer { padding: 0 .5rem; text-align: center; font-size: .88rem; color: var(--quiet); overflow-wrap: anywhere; }
`
