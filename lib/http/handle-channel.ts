import type { EventEmitter } from 'node:events'
import { MARKER, type Message } from '../wire/batch.js'
import type { Handle } from '../wire/transport.js'
import { onHandleAnswered } from './raw-handle.js'

type Done = (error: Error | null) => void
type Send = (message: Message, done: Done, handle?: Handle) => void

/**
 * Sends handles over a channel, and tells when the other side has taken each. Node tells when a handle is written, which
 * is too early to close it: a process that dies before it reads would take the connection along. That it was taken, Node
 * only tells itself. Where that does not decide it, an empty batch behind the handle does, a little later: Node holds it
 * back until the handle is taken.
 */
export class HandleChannel {
  readonly #send: Send
  /** Who waits for the handle under way. */
  #current: Done | undefined
  #written = false
  /**
   * An answer came before the handle was known to be written. It may be ours, or be for the handle of somebody else who
   * uses this channel, behind which ours had to wait.
   */
  #early = false
  #unlisten: (() => void) | undefined
  /** Whether Node tells. Until it has, nobody knows. */
  #tells = false

  /** @param channel Where Node's own answers can be heard; undefined when there is none. */
  constructor(channel: EventEmitter | undefined, send: Send) {
    this.#send = send
    if (channel === undefined) return
    this.#unlisten = onHandleAnswered(channel, (taken) => {
      if (!this.#current) return
      // Node tries again some times, then lets go of the handle.
      if (!taken) this.#probe()
      else if (this.#written) this.#settle(null)
      else this.#early = true
      this.#tells = true
    })
  }

  /** One at a time: the next after `taken` has been called. */
  readonly send = (message: Message, handle: Handle, taken: Done): void => {
    this.#current = taken
    this.#written = false
    this.#early = false
    this.#send(
      message,
      (error) => {
        if (this.#current !== taken) return
        if (error) {
          this.#settle(error)
        } else {
          this.#written = true
          if (this.#early) this.#probe()
        }
      },
      handle,
    )
    if (!this.#tells) this.#probe()
  }

  /** No handle is sent any more, and the channel goes on without this. */
  close(): void {
    this.#unlisten?.()
  }

  #probe(): void {
    const asking = this.#current
    this.#send(MARKER, (error) => {
      if (this.#current === asking) this.#settle(error)
    })
  }

  #settle(error: Error | null): void {
    const done = this.#current
    this.#current = undefined
    done?.(error)
  }
}
