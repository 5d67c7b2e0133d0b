/** Aligned columns; the first is text, the others are numbers. */
export function table(heads: string[], rows: string[][]): string {
  const lines = [heads, ...rows]
  const widths = heads.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  )
  const write = (line: string[]) => {
    const cells = widths.map((width, column) => {
      const text = line[column] ?? ''
      return column === 0 ? text.padEnd(width) : text.padStart(width)
    })
    return `| ${cells.join(' | ')} |`
  }
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  )
  return [write(heads), write(rule), ...rows.map(write)].join('\n')
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

export const whole = (value: number) => String(Math.round(value))
export const times = (value: number) => `${value.toFixed(2)} ×`
export const milliseconds = (value: number) => `${value.toFixed(1)} ms`
export const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
