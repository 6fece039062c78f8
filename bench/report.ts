/** What a run has found, as a page that one reads. */
import fs from 'node:fs'
import path from 'node:path'
import { amount, chart } from './chart.js'
import type { Absent, ComparisonResult, Results, TargetResult } from './results.js'

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
  const { mode, rounds, run, seconds, date, machine, versions, parts } = results
  const command = mode === 'default' ? 'npm run bench' : `npm run bench -- --${mode}`
  const lines = [
    '# Results',
    '',
    `Taken by \`${command}\` on ${date.slice(0, 10)} in ${Math.round(seconds / 60)} minutes. All of it, round by round, is in`,
    '[results.json](results.json).',
    '',
    ...table(['', ''], Object.entries(machine)),
    ...table(
      ['what', 'version'],
      Object.entries(versions).map(([name, version]) => [name, version]),
    ),
    '## How',
    '',
    `- The contestants of a comparison take turns: ${rounds} ${rounds === 1 ? 'round' : 'rounds'} after one that is not counted. The order rotates. Each turn is a`,
    '  process of its own with workers of its own, which does the work twice: once unmeasured, so that what is hot is compiled.',
    `- How often it is done is chosen for each contestant so that a turn takes ${run} ms; where the load is offered at a fixed`,
    '  rate, or comes from autocannon, all have the same.',
    '- A cell has the median of the rounds, and the ratio of the medians. The first figure also has from where to where the',
    '  rounds went; of the others that is in `results.json`.',
    '- CPU is user and system time of all threads of a process within the measured time: what it took to boot is not in it.',
    '  `workers` are all workers together, `server` is the broker: all processes of its program, so others must leave it alone.',
    '- Memory is what was resident at the peak of each process, added up, what Node.js itself takes included.',
    '- Latency at a fixed rate is counted from the moment at which a request should have been sent.',
    '- Hubwire is given no options. All processes and servers are on this one machine.',
    '',
  ]
  for (const { title, comparisons, targets } of parts) {
    lines.push(`## ${title}`, '')
    for (const comparison of comparisons) lines.push(...section(comparison, drawn))
    if (targets.length > 0) lines.push('### Targets', '', ...targetTable(targets))
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
      const spread =
        index === 0 ? `${amount(cell.median)} (${amount(cell.min)} - ${amount(cell.max)})` : amount(cell.median)
      return cell.ratio === undefined ? spread : `${spread}, ${amount(cell.ratio)}x`
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
