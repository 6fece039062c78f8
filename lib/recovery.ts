import { nextNumber } from './numbers.js'
import type { RecoveryToHub, RestoredSession, ToHub, ToMember } from './relay/control.js'
import type { Body } from './wire/codec.js'
import { type Position, writePosition } from './wire/position.js'

export type { RecoveryTimes, SessionData } from './relay/control.js'

/** The control messages that are about recovery. */
type Message = Extract<ToMember, { t: 'position' | 'restored' | 'again' }>

/** How the hub is told. */
export interface RecoveryLink {
  tell(message: ToHub): void
  /** The address of this incarnation. */
  readonly address: number
  readonly closed: boolean
}

/** A packet that a client missed: its place in the order, and its body. */
export interface MissedPacket extends Position, Body {}

/** The session of a client that is back, and what it missed while it was away. */
export interface Restored {
  readonly session: RestoredSession
  readonly missed: readonly MissedPacket[]
}

interface Restoring {
  readonly missed: MissedPacket[]
  readonly askAgain: () => void
  readonly onDone: (restored: Restored | undefined) => void
}

/** A member's half of connection state recovery: how far it is in the order of packets, and what it asks of the hub. */
export class RecoveryDesk {
  readonly #link: RecoveryLink
  readonly #restoring = new Map<number, Restoring>()
  /** The last packet of others that this member has been given. */
  #hub = 0
  /** The last one of its own. */
  #local = 0
  #lastCall = 0

  constructor(link: RecoveryLink) {
    this.#link = link
  }

  /** Where this member stands now. */
  get position(): Position {
    return { origin: this.#link.address, hub: this.#hub, local: this.#local }
  }

  /** The same as clients and hub are told it. */
  get offset(): string {
    return writePosition(this.position)
  }

  /** This member sends a packet: returns its place among those that it has sent. */
  advance(): number {
    return ++this.#local
  }

  /** One of another member has come. */
  arrived(sequence: number): void {
    if (sequence > this.#hub) this.#hub = sequence
  }

  tell(message: RecoveryToHub): void {
    this.#link.tell(message)
  }

  /**
   * Asks for a session. `onDone` is called as soon as the answer is here, before any packet that the hub sent after it;
   * with undefined when the client has to connect anew. `onAgain` is called when it is asked for again: then only what is
   * sent afterwards comes after the question.
   */
  restore(nsp: string, pid: string, offset: string, onAgain: () => void, onDone: Restoring['onDone']): void {
    if (this.#link.closed) {
      onDone(undefined)
      return
    }
    const n = this.#nextCall()
    const question = { t: 'restore', nsp, n, pid, offset } as const
    const askAgain = () => {
      onAgain()
      this.#link.tell({ ...question, again: true })
    }
    this.#restoring.set(n, { missed: [], askAgain, onDone })
    this.#link.tell(question)
  }

  replayed(call: number, packet: MissedPacket): void {
    this.#restoring.get(call)?.missed.push(packet)
  }

  control(message: Message): void {
    if (message.t === 'again') {
      this.#restoring.get(message.n)?.askAgain()
      return
    }
    this.arrived(message.hub)
    if (message.t === 'position') return
    const restoring = this.#restoring.get(message.n)
    this.#restoring.delete(message.n)
    restoring?.onDone(message.session ? { session: message.session, missed: restoring.missed } : undefined)
  }

  /** The hub is gone: nobody knows what anybody missed. */
  close(): void {
    for (const { onDone } of this.#restoring.values()) onDone(undefined)
    this.#restoring.clear()
  }

  /** 0 stands on packets that are no replay. */
  #nextCall(): number {
    this.#lastCall = nextNumber(this.#lastCall, 1, 0xffffffff, this.#restoring)
    return this.#lastCall
  }
}
