/** What a run has found, as a page that one reads. */
import fs from 'node:fs'
import path from 'node:path'
import { amount, chart } from './chart.js'
import type { Absent, Cell, ComparisonResult, Results, TargetResult } from './results.js'

/** Writes `results.json`, `RESULTS.md` and the charts. */
export function write(folder: string, results: Results): void {
  const charts = path.join(folder, 'charts')
  fs.rmSync(charts, { recursive: true, force: true })
  fs.mkdirSync(charts, { recursive: true })
  fs.writeFileSync(path.join(folder, 'results.json'), `${JSON.stringify(results, undefined, 1)}\n`)
  const drawn = new Set<string>()
  for (const comparison of results.parts.flatMap(({ comparisons }) => comparisons)) {
    const svg = chart(comparison)
    if (!svg) continue
    drawn.add(comparison.id)
    fs.writeFileSync(path.join(charts, `${comparison.id}.svg`), svg)
  }
  fs.writeFileSync(path.join(folder, 'RESULTS.md'), page(results, drawn))
}

function page(results: Results, drawn: ReadonlySet<string>): string {
  const { command, rounds, run, seconds, date, machine, versions, parts } = results
  const targets = parts.flatMap(({ targets }) => targets)
  const took = seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`
  const turns =
    rounds === 0
      ? 'one turn for each, a smoke test whose figures say nothing'
      : `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, after one that is not counted where a turn is shorter than a second`
  const lines = [
    '# Results',
    '',
    `Taken by \`${command}\` on ${date.slice(0, 10)} in ${took}. All of it, round by round, is in`,
    '[results.json](results.json).',
    '',
    ...table(['', ''], Object.entries(machine)),
    ...table(
      ['what', 'version'],
      Object.entries(versions).map(([name, version]) => [name, version]),
    ),
    '## How',
    '',
    `- The contestants of a comparison take turns: ${turns}. The order rotates. Each turn is a`,
    '  process of its own with workers of its own, which first works unmeasured, so that what is hot is compiled: events three',
    '  times as often as afterwards, or once at a fixed rate, requests and tasks for a second with 64 in flight at least,',
    '  and for two more with so few as afterwards where they are fewer.',
    `- How often it is done is chosen for each contestant so that a turn takes ${run} ms; where the load is offered at a fixed`,
    '  rate, or comes from autocannon, all have the same.',
    '- A cell has the median of the rounds, how they spread, and the ratio of the medians. The first figure has from where',
    '  to where the rounds went; of the others `±` is how far the round is away that is farthest from the median.',
    '- CPU is user and system time of all threads of a process within the measured time: what it took to boot is not in it.',
    '  `receivers` and `workers` are so many workers together. `server` is the broker: all processes of its program,',
    '  so others must leave it alone. `all` is primary, workers and server; load generators are in none of it.',
    '- Memory is what was resident at the peak of each process, added up, what Node.js itself takes included.',
    '- Latency where the load is offered at a fixed rate is counted from the moment at which a request should have been sent,',
    '  whatever became of those before. Elsewhere it is that at saturation: who asks waits for an answer before it asks again.',
    "- Hubwire is given no options, but for `pipe`, which is Hubwire with `transport: 'pipe'`. All processes and servers are",
    '  on this one machine. Each contestant is a short file in one of the folders of contestants beside this page. `naive` is',
    "  `process.send`, whose primary passes on object by object; `advanced` the same with `serialization: 'advanced'`; `bare`",
    '  a sketch that batches strings, with no feature at all; `redis` ioredis, or the Redis adapter; `cluster` is',
    '  `@socket.io/cluster-adapter`, or plain `node:cluster` where Socket.IO does not take part.',
    '',
  ]
  if (targets.length > 0) {
    lines.push(
      '## Targets',
      '',
      'Why those are missed that are, and how near they are to the floor, is in [NOTES.md](NOTES.md).',
      '',
    )
    lines.push(...targetTable(targets))
  }
  for (const { title, comparisons } of parts) {
    lines.push(`## ${title}`, '')
    for (const comparison of comparisons) lines.push(...section(comparison, drawn))
  }
  return `${lines.join('\n').trimEnd()}\n`
}

function section(comparison: ComparisonResult, drawn: ReadonlySet<string>): string[] {
  const { id, title, how, against, figures, rows, skipped, failed } = comparison
  const shown = figures.filter(({ name }) => rows.some(({ cells }) => cells[name]))
  const cells = rows.map((row) => [
    row.contestant === 'hubwire' ? `**${row.contestant}**` : row.contestant,
    ...shown.map(({ name }, index) => {
      const cell = row.cells[name]
      if (!cell) return ''
      const value = `${amount(cell.median)}${index === 0 ? range(cell) : away(cell)}`
      return cell.ratio === undefined ? value : `${value}, ${amount(cell.ratio)}x`
    }),
  ])
  return [
    `### ${title}`,
    '',
    how,
    '',
    ...(drawn.has(id) ? [`![${title}](charts/${id}.svg)`, ''] : []),
    ...(rows.length > 0
      ? table([`x: times ${against}`, ...shown.map(({ name, unit }) => `${name}, ${unit}`)], cells)
      : []),
    ...absent('Skipped', skipped),
    ...absent('**Failed**', failed),
  ]
}

function range({ min, max }: Cell): string {
  return min === max ? '' : ` (${amount(min)} - ${amount(max)})`
}

/** How far from the median the farthest round is. */
function away({ median, min, max }: Cell): string {
  const farthest = Math.max(max - median, median - min)
  return farthest === 0 || median === 0 ? '' : ` ±${Math.round((farthest / median) * 100)} %`
}

/** Those who share a reason share a line. */
function absent(how: string, some: readonly Absent[]): string[] {
  return [...new Set(some.map(({ why }) => why))].map((why) => {
    const names = some.filter((one) => one.why === why).map(({ contestant }) => contestant)
    return `${how}: ${names.join(', ')}: ${why.replace(/\.$/, '')}.\n`
  })
}

function targetTable(targets: readonly TargetResult[]): string[] {
  return table(
    ['what', 'target', 'reached', ''],
    targets.map(({ what, target, reached, ok }) => [what, target, `${reached}`, ok ? 'yes' : '**missed**']),
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '--:'))), ...rows.map(line), '']
}
