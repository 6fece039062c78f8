import fs from 'node:fs'
import path from 'node:path'

/**
 * What one process saw, a line for each thing, written before anything follows from it: it outlives a SIGKILL.
 *
 *     S n seats            sends an event to the seats of these bits
 *     x n                  … which was refused
 *     e from inc n         an event of that process came; the hub says that it is that incarnation
 *     Q n to retries limit mode at   asks a seat, or `*`, whoever serves it; waits for so many ms
 *     R from inc n ordered a handler begins with that call
 *     A n code by at       the call was answered: `ok`, or the code of an error
 *     L id inc             heard that it left
 *     M n room             sends a packet to a room, or `*`
 *     W words              saw what must not be
 *
 * Clients write one for all:
 *
 *     O client session home     connected, there
 *     P client session from n   a packet came
 *     D client session          disconnected
 *     K key / k key answer      asked, and was answered
 *
 * What became of processes the campaign knows by itself.
 */
export class History {
  readonly #folder: string
  readonly #name: string
  #file: number | undefined

  constructor(folder: string, name: string) {
    this.#folder = folder
    this.#name = name
    const { round } = readPhase(folder)
    if (round > 0) this.open(round)
  }

  /** Goes on in the folder of another round. */
  open(round: number): void {
    if (this.#file !== undefined) fs.closeSync(this.#file)
    this.#file = fs.openSync(path.join(this.#folder, String(round), this.#name), 'a')
  }

  write(line: string): void {
    if (this.#file !== undefined) fs.writeSync(this.#file, `${line}\n`)
  }
}

/** How far a campaign is. New processes look it up. */
export interface Phase {
  round: number
  going: boolean
  seed: number
}

export function readPhase(folder: string): Phase {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, 'phase'), 'utf8')) as Phase
  } catch {
    return { round: 0, going: false, seed: 0 }
  }
}

export function writePhase(folder: string, phase: Phase): void {
  fs.mkdirSync(path.join(folder, String(phase.round)), { recursive: true })
  const file = path.join(folder, 'phase')
  // Nobody reads half of it.
  fs.writeFileSync(`${file}.new`, JSON.stringify(phase))
  fs.renameSync(`${file}.new`, file)
}

/** The lines of all histories of a round, by file, as lists of words. A line that a kill has cut short is left out. */
export function* readRound(folder: string, round: number): Iterable<{ name: string; lines: string[][] }> {
  const place = path.join(folder, String(round))
  for (const name of fs.readdirSync(place)) {
    const whole = fs.readFileSync(path.join(place, name), 'utf8').split('\n').slice(0, -1)
    yield { name, lines: whole.map((line) => line.split(' ')) }
  }
}
