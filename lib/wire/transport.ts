import { type Batch, type Message, toMessage } from './batch.js'

/** Carries batches, in order. All that a link knows of the channel below it. */
export interface Transport {
  /** Takes a batch; calls `done` once when it is gone, with an error when it could not go. Never throws. */
  send(batch: Batch, done: (error: Error | null) => void): void
}

/** The channel of a forked process, from either end. */
export class IpcTransport implements Transport {
  readonly #send: (message: Message, done: (error: Error | null) => void) => void

  constructor(send: (message: Message, done: (error: Error | null) => void) => void) {
    this.#send = send
  }

  send(batch: Batch, done: (error: Error | null) => void): void {
    this.#send(toMessage(batch), done)
  }
}

/** Inside one process: the primary is a member like any other, its link a turn of the event loop instead of a channel. */
export class LocalTransport implements Transport {
  readonly #receive: (batch: Batch) => void

  constructor(receive: (batch: Batch) => void) {
    this.#receive = receive
  }

  send(batch: Batch, done: (error: Error | null) => void): void {
    // Not a microtask: two members of one process that answer each other would never let the event loop turn.
    setImmediate(() => {
      done(null)
      this.#receive(batch)
    })
  }
}
