import type { EventEmitter } from 'node:events'
import { MARKER, type Message } from '../wire/batch.js'
import type { Handle } from '../wire/transport.js'
import { onHandleAnswered } from './raw-handle.js'

type Done = (error: Error | null) => void
type Send = (message: Message, done: Done, handle?: Handle) => void

/** After so many failures Node itself gives up, closes the handle and says so in a warning. */
const ATTEMPTS = 4

/**
 * Sends handles over a channel, and tells when the other side has taken each. Node tells when a handle is written, which
 * is too early to close it: a process that dies before it reads would take the connection along. That it was taken, Node
 * only tells itself; where it should stop to do so, an empty batch behind the handle tells the same a little later.
 */
export class HandleChannel {
  readonly #send: Send
  /** The handle under way. */
  #current: Done | undefined
  /** Others send handles over this channel, too, and theirs are answered before ours is written. */
  #written = false
  #failures = 0
  /** Whether Node tells. Until it has, nobody knows. */
  #tells = false

  /** @param channel Where Node's own answers can be heard; undefined when there is none. */
  constructor(channel: EventEmitter | undefined, send: Send) {
    this.#send = send
    if (channel === undefined) return
    onHandleAnswered(channel, (taken) => {
      if (!this.#written) return
      this.#tells = true
      if (taken || ++this.#failures === ATTEMPTS) this.#settle(null)
    })
  }

  /** One at a time: the next after `taken` has been called. */
  readonly send = (message: Message, handle: Handle, taken: Done): void => {
    this.#current = taken
    this.#written = false
    this.#failures = 0
    this.#send(
      message,
      (error) => {
        if (this.#current !== taken) return
        if (error) this.#settle(error)
        else this.#written = true
      },
      handle,
    )
    if (this.#tells) return
    this.#send(MARKER, (error) => {
      if (this.#current === taken) this.#settle(error)
    })
  }

  #settle(error: Error | null): void {
    const done = this.#current
    this.#current = undefined
    this.#written = false
    done?.(error)
  }
}
