/** One line of a panel. */
export interface Series {
  name: string
  colour: string
  values: readonly number[]
}

/** One above the other, over the same time. */
export interface Panel {
  title: string
  unit: string
  series: readonly Series[]
  /** Cuts off what is above: a single long pause shall not flatten all else. */
  top?: number
}

const WIDTH = 900
const PANEL = 190
const LEFT = 64
const RIGHT = 24
const TOP = 34
const GAP = 22
const HEAD = 30

/** An SVG of panels over time. `at`: when each value was taken, in seconds. */
export function plot(title: string, at: readonly number[], panels: readonly Panel[]): string {
  const height = HEAD + panels.length * (PANEL + GAP) + 30
  const parts = panels.map((panel, i) => draw(panel, at, HEAD + i * (PANEL + GAP)))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="20" font-size="14" font-weight="600" fill="#111">${escapeText(title)}</text>`,
    ...parts,
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${height - 8}" text-anchor="middle" fill="#444">minutes</text>`,
    '</svg>',
    '',
  ].join('\n')
}

function draw({ title, unit, series, top }: Panel, at: readonly number[], y: number): string {
  const most = Math.max(...series.flatMap(({ values }) => values), Number.MIN_VALUE)
  const step = niceStep(Math.min(top ?? most, most) / 4)
  const limit = Math.max(step, Math.ceil(Math.min(top ?? most, most) / step) * step)
  const end = Math.max(at.at(-1) ?? 0, 1)
  const bottom = y + PANEL
  const x = (seconds: number) => LEFT + (seconds / end) * (WIDTH - LEFT - RIGHT)
  const height = (value: number) => bottom - (Math.min(value, limit) / limit) * (PANEL - TOP)
  const parts: string[] = []
  for (let value = 0; value <= limit + step / 2; value += step) {
    parts.push(
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fixed(height(value))}" y2="${fixed(height(value))}" stroke="#e4e4e4"/>`,
      `<text x="${LEFT - 6}" y="${fixed(height(value) + 4)}" text-anchor="end" fill="#444">${Number(value.toPrecision(4))}</text>`,
    )
  }
  const minutes = niceStep(end / 60 / 8)
  for (let minute = 0; minute * 60 <= end; minute += minutes) {
    parts.push(
      `<text x="${fixed(x(minute * 60))}" y="${bottom + 14}" text-anchor="middle" fill="#444">${Number(minute.toPrecision(4))}</text>`,
    )
  }
  parts.push(`<text x="${LEFT}" y="${y + 22}" fill="#111" font-weight="600">${escapeText(`${title}, ${unit}`)}</text>`)
  let legend = WIDTH - RIGHT
  for (const { name, colour, values } of [...series].reverse()) {
    const points = values.map((value, i) => `${fixed(x(at[i] ?? 0))},${fixed(height(value))}`)
    parts.push(`<polyline fill="none" stroke="${colour}" stroke-width="1.4" points="${points.join(' ')}"/>`)
    parts.push(`<text x="${legend}" y="${y + 22}" text-anchor="end" fill="${colour}">${escapeText(name)}</text>`)
    legend -= name.length * 7 + 16
  }
  return parts.join('\n')
}

/** 1, 2 or 5 times a power of ten, not below. */
export function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-9)))
  const factor = [1, 2, 5, 10].find((one) => one * power >= least) ?? 10
  return factor * power
}

/** Of the straight line that fits best: how much the values rise with each second. */
export function slope(at: readonly number[], values: readonly number[]): number {
  const mean = (list: readonly number[]) => list.reduce((sum, one) => sum + one, 0) / list.length
  const [middle, level] = [mean(at), mean(values)]
  let above = 0
  let below = 0
  at.forEach((time, i) => {
    above += (time - middle) * ((values[i] ?? 0) - level)
    below += (time - middle) ** 2
  })
  return below === 0 ? 0 : above / below
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}

const fixed = (value: number) => value.toFixed(1)
const escapeText = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
