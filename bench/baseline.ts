/** `baseline.json`: what the checks compare with. Ratios and counts alone; no figure that depends on the machine. */
import fs from 'node:fs'

export interface Baseline {
  /** Hubwire's figure over that of the contestant which the comparison is against, by comparison and figure. */
  ratios: Record<string, Record<string, number>>
  /** Of each major version of Node.js: bytes allocated, or instructions, for each message. */
  wire: Record<string, Record<string, number>>
}

/** How much may be lost before it counts. */
export const QUARTER = 0.25

const FILE = new URL('../../bench/baseline.json', import.meta.url)

export function readBaseline(): Baseline {
  return JSON.parse(fs.readFileSync(FILE, 'utf8'))
}

export function writeBaseline(baseline: Baseline): void {
  fs.writeFileSync(FILE, `${JSON.stringify(baseline, undefined, 2)}\n`)
}

/** Whether a figure fell by more than a quarter; a cost falls when it grows. */
export function hasFallen(now: number, before: number, higherIsBetter: boolean): boolean {
  return higherIsBetter ? now < before * (1 - QUARTER) : now > before / (1 - QUARTER)
}
