import type { IncomingMessage } from 'node:http'
import { FAILED, type HandoverToHub, type HandoverToMember, RELEASED, type Successor } from './relay/control.js'
import type { Handle } from './wire/transport.js'

export { FAILED, type HandoverToHub, type HandoverToMember, RELEASED, type Successor }

/** Where a session is: in this member, or at that address, or nobody knows before that. */
export type Whereabouts = 'here' | { readonly at: number } | { readonly after: Promise<void> }

/** What a member asks of the room whose sessions move. */
export interface SessionRoom {
  /** Undefined for a session that this member has never had. */
  find(id: string, isPoll: boolean): Whereabouts | undefined
  /** Has the session's open poll be answered at once; or else this one, as soon as it is open. */
  release(id: string, poll?: IncomingMessage): void
  /** The handle, if there is one, is the room's from now on. */
  receive(message: HandoverToMember, handle: Handle | undefined): void
  /** An incarnation is no more. */
  gone(address: number): void
}

/** A member's order to hand over what it holds, and then to end. */
export interface Handover {
  readonly successor: Successor
  /** How long it may take, in milliseconds. */
  readonly within: number
  /** Aborted when `handoverTimeout` is over, when the successor is gone, and when all is to be stopped at once. */
  readonly signal: AbortSignal
}

/** Resolves when nothing is left here that could be handed over. */
export type HandoverStep = (handover: Handover) => void | Promise<void>

/** What a member does to hand over. */
export class HandoverSteps {
  readonly #steps = new Set<{ step: HandoverStep }>()

  /** Returns a function that takes the step back. */
  add(step: HandoverStep): () => void {
    const entry = { step }
    this.#steps.add(entry)
    return () => {
      this.#steps.delete(entry)
    }
  }

  /**
   * Runs all steps side by side: one that waits for a client that does not read takes no time from the others. When the
   * signal is aborted they are waited for no longer. One that fails is told of.
   */
  async run(handover: Handover, onError: (error: unknown) => void): Promise<void> {
    const { signal } = handover
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    const done = [...this.#steps].map(({ step }) => Promise.resolve(handover).then(step).catch(onError))
    await Promise.race([Promise.all(done), aborted])
  }
}
