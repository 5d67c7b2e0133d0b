import { html } from 'ghtml'

/** One kind of what a chart counts, with how often in each place of its axis. */
export interface Series {
  label: string
  counts: number[]
}

/** How each kind is told from the others without its colour. */
const PATTERNS = ['solid', 'stripes', 'dots', 'cross'] as const

const WIDTH = 640
const HEIGHT = 160

/** The patterns of charts; once on a page that has any. */
export const chartPatterns = `<svg width="0" height="0" aria-hidden="true" focusable="false"><defs>
<pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" class="ground"/><rect width="3" height="6" class="ink"/></pattern>
<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" class="ground"/><circle cx="3" cy="3" r="1.6" class="ink"/></pattern>
<pattern id="cross" width="7" height="7" patternUnits="userSpaceOnUse"><rect width="7" height="7" class="ground"/><path d="M0 0l7 7M7 0l-7 7" class="line"/></pattern>
</defs></svg>`

/** How often, in steps that a person reads: the least 1, 2 or 5 times a power of ten that suffices. */
function roundUp(most: number): number {
  if (most <= 4) return 4
  const power = 10 ** Math.floor(Math.log10(most))
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most) ?? most
}

/**
 * Counts over time as bars that stand on one another, as a picture made here. Readable without colour,
 * by patterns and labels; its numbers follow as a table.
 */
export function stackedChart(title: string, places: string[], series: Series[]): string {
  const shown = series.slice(0, PATTERNS.length)
  const sums = places.map((_, index) =>
    shown.reduce((sum, { counts }) => sum + (counts[index] ?? 0), 0),
  )
  const top = roundUp(Math.max(0, ...sums))
  const step = WIDTH / Math.max(1, places.length)
  const scale = (HEIGHT - 2) / top
  const base = HEIGHT - 1
  const bars = places.flatMap((_, index) => {
    let y = base
    return shown.map(({ counts }, kind) => {
      const height = (counts[index] ?? 0) * scale
      if (height === 0) return ''
      y -= height
      return `<rect class="bar ${PATTERNS[kind]}" x="${(index * step + 1).toFixed(1)}" y="${y.toFixed(1)}" width="${(step - 2).toFixed(1)}" height="${height.toFixed(1)}"/>`
    })
  })
  const lines = [0, top / 2, top].map(
    (count) => `<path class="grid" d="M0 ${(base - count * scale).toFixed(1)}H${WIDTH}"/>`,
  )
  const legend = shown.map(
    ({ label }, kind) =>
      html`<li><svg class="swatch" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><rect class="bar ${PATTERNS[kind] ?? ''}" x="1" y="1" width="14" height="14"/></svg> <bdi>${label}</bdi></li>`,
  )
  return html`<figure class="card chart"><figcaption>${title}</figcaption>
<p class="axis"><span>the highest line is ${top}</span></p>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}. The numbers are in the table below.">!${lines.join('')}!${bars.join('')}</svg>
<p class="axis"><span>${places[0] ?? ''}</span><span>${places.at(-1) ?? ''}</span></p>
<ul class="legend">!${legend.join('')}</ul>
!${numbers(
    title,
    ['Day (UTC)', ...series.map(({ label }) => label)],
    places.map((place, index) => [place, ...series.map(({ counts }) => counts[index] ?? 0)]),
  )}</figure>`
}

/** How often each of several, as bars with their names, and the numbers as a table. */
export function barChart(
  title: string,
  kind: string,
  bars: { label: string; count: number }[],
): string {
  const most = Math.max(1, ...bars.map(({ count }) => count))
  const rows = bars.map(
    ({ label, count }) =>
      html`<li><span><bdi>${label}</bdi></span><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect class="bar solid" width="${Math.max(0.5, (count / most) * 100).toFixed(1)}" height="8"/></svg><span class="count">${count}</span></li>`,
  )
  return html`<figure class="card chart"><figcaption>${title}</figcaption>
!${
    bars.length === 0
      ? '<p class="quiet">There was none.</p>'
      : html`<ul class="bars">!${rows.join('')}</ul>!${numbers(
          title,
          [kind, 'How often'],
          bars.map(({ label, count }) => [label, count]),
        )}`
  }</figure>`
}

function numbers(title: string, head: string[], rows: (string | number)[][]): string {
  const cells = (row: (string | number)[]) =>
    row
      .map((cell, index) =>
        index === 0
          ? html`<th scope="row"><bdi>${cell}</bdi></th>`
          : html`<td class="number">${cell}</td>`,
      )
      .join('')
  return html`<details><summary>Numbers</summary><div class="scroll" tabindex="0" role="region" aria-label="Numbers: ${title}"><table><thead><tr>!${head.map((each, index) => html`<th scope="col"!${index === 0 ? '' : ' class="number"'}><bdi>${each}</bdi></th>`).join('')}</tr></thead><tbody>!${rows.map((row) => `<tr>${cells(row)}</tr>`).join('')}</tbody></table></div></details>`
}

/** How charts look: in the page's own colours. */
export const chartStyle = `
figure.chart { margin: 0 0 1rem; }
.chart figcaption { font-weight: 600; margin-bottom: .6rem; }
.chart > svg { display: block; width: 100%; height: auto; }
.axis { display: flex; justify-content: space-between; margin: .1rem 0; max-width: none; color: var(--quiet); font-size: .85rem; }
.grid { stroke: var(--line); stroke-width: 1; fill: none; }
.ground { fill: var(--card); }
.ink { fill: var(--accent); }
.line { stroke: var(--accent); stroke-width: 1.2; }
.bar { stroke: var(--accent); stroke-width: 1; }
.bar.solid { fill: var(--accent); }
.bar.stripes { fill: url(#stripes); }
.bar.dots { fill: url(#dots); }
.bar.cross { fill: url(#cross); }
.swatch { width: 1rem; height: 1rem; vertical-align: -.15em; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0; margin: .6rem 0; font-size: .9rem; overflow-wrap: anywhere; }
.bars { list-style: none; padding: 0; margin: 0 0 .6rem; }
.bars li { display: grid; grid-template-columns: minmax(0, 12rem) minmax(2rem, 1fr) auto; gap: .2rem .8rem; align-items: center; padding: .2rem 0; font-size: .94rem; overflow-wrap: anywhere; }
.bars svg { width: 100%; height: .6rem; }
.chart tbody th { white-space: nowrap; }
.count { font-variant-numeric: tabular-nums; }
details summary { cursor: pointer; color: var(--quiet); width: fit-content; }
`
