import type { Readable } from 'node:stream'

const KEPT_BYTES = 4096
/** How far into the kept text a line's beginning is looked for: a very long line must not cost the rest of the tail. */
const LINE_SEARCH = 1024

const ignore = () => {}

/** Passes a worker's stderr through to the primary's, byte for byte, and keeps its end for error messages. */
export class StderrTail {
  #kept: Buffer = Buffer.alloc(0)
  #cut = false

  /** @param ended Called once when there is nothing more to come. */
  constructor(stream: Readable, ended: () => void) {
    stream.on('data', (chunk: Buffer) => {
      this.#push(chunk)
      passThrough(stream, chunk)
    })
    stream.on('error', ignore)
    stream.once('close', ended)
  }

  /** The last 4 KiB as text, beginning with a whole character and, where one begins early enough, with a whole line. */
  get text(): string {
    let start = 0
    if (this.#cut) {
      const newline = this.#kept.indexOf(0x0a)
      if (newline >= 0 && newline < LINE_SEARCH) start = newline + 1
      else while (start < 4 && ((this.#kept[start] ?? 0) & 0xc0) === 0x80) start++
    }
    return this.#kept.toString('utf8', start)
  }

  #push(chunk: Buffer): void {
    const all = Buffer.concat([this.#kept, chunk])
    if (all.length <= KEPT_BYTES) {
      this.#kept = all
      return
    }
    this.#cut = true
    // Copied, because a view would keep the whole of a large chunk in memory.
    this.#kept = Buffer.from(all.subarray(all.length - KEPT_BYTES))
  }
}

/**
 * Not `pipe`, which adds listeners to process.stderr for every worker and draws a warning at the eleventh. A stderr that
 * nobody reads any more must not end the primary, as it does not with console.error.
 */
function passThrough(stream: Readable, chunk: Buffer): void {
  const { stderr } = process
  stderr.once('error', ignore)
  try {
    const more = stderr.write(chunk, (error) => {
      if (error && stderr.listenerCount('error') === 0) stderr.once('error', ignore)
      stream.resume()
    })
    if (!more) stream.pause()
  } finally {
    stderr.removeListener('error', ignore)
  }
}
