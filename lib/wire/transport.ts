import { type Batch, type Message, toMessage } from './batch.js'
import type { Pipe } from './pipe.js'

/** Something of the operating system's that travels beside a batch: an open connection. The wire only passes it on. */
export interface Handle {
  close(): void
}

type Done = (error: Error | null) => void

/** Carries batches, in order. All that a link knows of the channel below it. */
export interface Transport {
  /** Takes a batch; calls `done` once when it is gone, with an error when it could not go. Never throws. */
  send(batch: Batch, done: Done): void
  /**
   * Takes a batch with a handle beside it. One at a time: the next after `done`, which is called when the other side has
   * taken this one and the copy here is closed, or with an error, and then the handle is the caller's again. A channel
   * that ends may leave it uncalled.
   */
  sendHandle(batch: Batch, handle: Handle, done: Done): void
}

/** The channel of a forked process, from either end. */
export class IpcTransport implements Transport {
  readonly #send: (message: Message, done: Done) => void
  readonly #sendHandle: (message: Message, handle: Handle, taken: Done) => void

  /** @param sendHandle Calls `taken` when the other side has the handle, and not when it is merely written. */
  constructor(
    send: (message: Message, done: Done) => void,
    sendHandle: (message: Message, handle: Handle, taken: Done) => void,
  ) {
    this.#send = send
    this.#sendHandle = sendHandle
  }

  send(batch: Batch, done: Done): void {
    this.#send(toMessage(batch), done)
  }

  sendHandle(batch: Batch, handle: Handle, done: Done): void {
    this.#sendHandle(toMessage(batch), handle, (error) => {
      if (!error) handle.close()
      done(error)
    })
  }
}

/** A pipe beside the channel of a forked process. Handles travel over the channel all the same. */
export class PipeTransport implements Transport {
  readonly #pipe: Pipe
  readonly #channel: Transport

  constructor(pipe: Pipe, channel: Transport) {
    this.#pipe = pipe
    this.#channel = channel
  }

  send(batch: Batch, done: Done): void {
    this.#pipe.send(batch, done)
  }

  sendHandle(batch: Batch, handle: Handle, done: Done): void {
    this.#channel.sendHandle(batch, handle, done)
  }
}

/** Inside one process: the primary is a member like any other, its link a turn of the event loop instead of a channel. */
export class LocalTransport implements Transport {
  readonly #receive: (batch: Batch, handle?: Handle) => void

  constructor(receive: (batch: Batch, handle?: Handle) => void) {
    this.#receive = receive
  }

  send(batch: Batch, done: Done): void {
    // Not a microtask: two members of one process that answer each other would never let the event loop turn.
    setImmediate(() => {
      done(null)
      this.#receive(batch)
    })
  }

  sendHandle(batch: Batch, handle: Handle, done: Done): void {
    setImmediate(() => {
      // There is one copy, and it is the receiver's now.
      this.#receive(batch, handle)
      done(null)
    })
  }
}
