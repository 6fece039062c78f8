/** Bar charts as SVG files that stand for themselves, in light and in dark. */
import type { ComparisonResult } from './results.js'

const WIDTH = 720
const BAR = 22
const GAP = 8
const LEFT = 150
const RIGHT = 150
const TOP = 50

/** What is Hubwire, under one name or another, has its colour. */
const OWN = ['hubwire', 'hubwire/socket.io', 'pipe', 'attached', 'inline', 'delegated', 'routed']

/** The first figure of a comparison, longest bar first where more is better. */
export function chart({ title, figures, rows, against }: ComparisonResult): string | undefined {
  const [figure] = figures
  if (!figure) return undefined
  const bars = rows
    .flatMap(({ contestant, cells }) => {
      const cell = cells[figure.name]
      return cell ? [{ contestant, ...cell }] : []
    })
    .sort((a, b) => (figure.higherIsBetter ? b.median - a.median : a.median - b.median))
  if (bars.length < 2) return undefined
  const longest = Math.max(...bars.map(({ max }) => max))
  const scale = (value: number) => (value / longest) * (WIDTH - LEFT - RIGHT)
  const lines = bars.map(({ contestant, median, min, max, ratio }, index) => {
    const y = TOP + index * (BAR + GAP)
    const middle = y + BAR / 2
    const own = OWN.includes(contestant) ? ' class="own"' : ''
    const times = contestant === against ? '' : ratio === undefined ? '' : ` (${amount(ratio)}x)`
    const [from, to, end] = [min, max, Math.max(median, max)].map((value) => (LEFT + scale(value)).toFixed(1))
    return (
      `<text x="${LEFT - 8}" y="${middle}" text-anchor="end"${own}>${escaped(contestant)}</text>` +
      `<rect x="${LEFT}" y="${y}" width="${scale(median).toFixed(1)}" height="${BAR}"${own}/>` +
      `<path d="M${from} ${middle}H${to}M${from} ${middle - 4}v8M${to} ${middle - 4}v8"/>` +
      `<text x="${Number(end) + 8}" y="${middle}">${amount(median)}${escaped(times)}</text>`
    )
  })
  const height = TOP + bars.length * (BAR + GAP)
  const better = figure.higherIsBetter ? 'more is better' : 'less is better'
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, sans-serif" font-size="13">
<title>${escaped(title)}</title>
<style>
text { fill: #24292f; dominant-baseline: central } text.own { font-weight: 600 }
rect { fill: #9aa7b4 } rect.own { fill: #2f81f7 } path { stroke: #24292f; fill: none; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } rect { fill: #57606a } rect.own { fill: #2f81f7 } path { stroke: #e6edf3 } }
</style>
<text x="8" y="14" font-weight="600">${escaped(title)}</text>
<text x="8" y="34">${escaped(figure.name)}, ${figure.unit}: ${better}</text>
${lines.join('\n')}
</svg>
`
}

/** A number as one reads it: three digits, and thousands apart. */
export function amount(value: number): string {
  if (value !== 0 && Math.abs(value) < 100) return String(Number(value.toPrecision(3)))
  return Number(value.toPrecision(4)).toLocaleString('en', { maximumFractionDigits: 0 })
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
