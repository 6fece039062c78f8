import { after } from '../timers.js'

/** Pings in the time after which a process counts as hung. */
const PINGS = 3

/** Notices when a process says nothing any more, though it is asked to. */
export class Watchdog {
  readonly #interval: number
  readonly #ping: () => void
  readonly #hung: (silence: number) => void
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #lastLife = performance.now()
  /** Pings since the last message. Counted, because time also passes while this process itself is blocked. */
  #unanswered = 0

  constructor(hungAfter: number, ping: () => void, hung: (silence: number) => void) {
    this.#interval = hungAfter / PINGS
    this.#ping = ping
    this.#hung = hung
    this.#beat()
  }

  /** Any message will do. */
  life(): void {
    this.#lastLife = performance.now()
    this.#unanswered = 0
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    this.#timer = undefined
    this.#immediate = undefined
  }

  #beat(): void {
    this.#timer = after(this.#interval, () => {
      // After the next reading of the channels: when this process was blocked, the answers may be waiting there.
      this.#immediate = setImmediate(() => {
        if (this.#unanswered >= PINGS) {
          this.#hung(performance.now() - this.#lastLife)
          return
        }
        this.#unanswered++
        this.#beat()
        this.#ping()
      })
    })
  }
}
