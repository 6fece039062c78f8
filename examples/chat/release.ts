/**
 * Which release this is: a number in a file. It stands for all the files that a real deploy puts in place, and as these it
 * is read by a process when that starts.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export function readRelease(file: string | undefined): number {
  if (!file) throw new Error('CHAT_RELEASE is missing: the primary gives it to its workers, see main.ts')
  return Number(readFileSync(file, 'utf8'))
}

/** The primary's, which writes it. It goes with the process. */
export class ReleaseFile {
  readonly path: string
  #release = 0

  constructor() {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'hubwire-chat-'))
    this.path = path.join(folder, 'release')
    this.next()
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  }

  /** Puts the next one in place, and returns its number. */
  next(): number {
    this.#release++
    writeFileSync(this.path, String(this.#release))
    return this.#release
  }
}
