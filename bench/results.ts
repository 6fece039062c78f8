/** What a run has found, as it is written to `results.json`. */
import fs from 'node:fs'
import os from 'node:os'
import { summarize } from './alternate.js'
import type { Comparison, Figure, Part, Target } from './comparison.js'
import type { Measurement } from './measurement.js'

export interface Cell {
  median: number
  min: number
  max: number
  /** The median over that of the contestant that the comparison is against. */
  ratio?: number
}

export interface Row {
  contestant: string
  /** By the name of the figure. */
  cells: Record<string, Cell>
  /** Of each round, in their order. */
  rounds: Record<string, number[]>
}

export interface Absent {
  contestant: string
  why: string
}

export interface ComparisonResult {
  id: string
  title: string
  how: string
  against: string
  figures: Omit<Figure, 'of'>[]
  rows: Row[]
  skipped: Absent[]
  failed: Absent[]
}

export interface TargetResult {
  what: string
  /** `at least 8 x naive` */
  target: string
  reached: number
  ok: boolean
}

export interface Results {
  date: string
  command: string
  rounds: number
  /** How long a measured run should take, in milliseconds. */
  run: number
  /** How long the whole took, in seconds. */
  seconds: number
  machine: Record<string, string>
  versions: Record<string, string>
  parts: { name: string; title: string; seconds: number; comparisons: ComparisonResult[]; targets: TargetResult[] }[]
}

/** The rows of a comparison. */
export function rowsOf({ figures, against }: Comparison, measured: Map<string, Measurement[]>): Row[] {
  const rows = [...measured].map(([contestant, runs]): Row => {
    const row: Row = { contestant, cells: {}, rounds: {} }
    for (const { name, of } of figures) {
      const values = runs
        .map(of)
        .filter((value) => value !== undefined)
        .filter((value) => !Number.isNaN(value))
      if (values.length === 0) continue
      row.rounds[name] = values.map(round)
      row.cells[name] = summarize(values)
    }
    return row
  })
  const other = rows.find(({ contestant }) => contestant === against)
  for (const { contestant, cells } of rows) {
    for (const [name, cell] of Object.entries(cells)) {
      const to = other?.cells[name]
      for (const key of ['median', 'min', 'max'] as const) cell[key] = round(cell[key])
      if (to && contestant !== against && to.median !== 0) cell.ratio = round(cell.median / to.median)
    }
  }
  return rows
}

/** Which targets of a part were reached; those that were not measured are left out. */
export function targetsOf({ targets }: Part, comparisons: readonly ComparisonResult[]): TargetResult[] {
  return targets.flatMap((target: Target) => {
    const { comparison, figure, of = 'hubwire' } = target
    const result = comparisons.find(({ id }) => id === comparison)
    const median = (name: string) =>
      result?.rows.find(({ contestant }) => contestant === name)?.cells[figure.name]?.median
    const own = median(of)
    if (!result || own === undefined) return []
    const what = `${result.title}: ${figure.name}${of === 'hubwire' ? '' : ` of ${of}`}`
    if ('most' in target) {
      const { most } = target
      return { what, target: `at most ${most} ${figure.unit}`, reached: round(own), ok: own <= most }
    }
    const { against, ratio } = target
    const other = median(against)
    if (!other) return []
    const reached = own / other
    return {
      what,
      target: `at ${figure.higherIsBetter ? 'least' : 'most'} ${round(ratio)} x ${against}`,
      reached: round(reached),
      ok: figure.higherIsBetter ? reached >= ratio : reached <= ratio,
    }
  })
}

export function machine(): Record<string, string> {
  const cpus = os.cpus()
  return {
    processor: `${cpus[0]?.model.trim() ?? 'unknown'}, ${os.availableParallelism()} cores`,
    memory: `${(os.totalmem() / 2 ** 30).toFixed(0)} GiB`,
    system: `${os.type()} ${os.release()}, ${os.arch()}`,
    'load average when it began': os
      .loadavg()
      .map((value) => value.toFixed(2))
      .join(' '),
  }
}

/** Of the packages that take part. */
export function packageVersions(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.map((name) => {
      const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
      return [name, JSON.parse(fs.readFileSync(file, 'utf8')).version]
    }),
  )
}

/** Four digits: no more are known. */
function round(value: number): number {
  return Number(value.toPrecision(4))
}
