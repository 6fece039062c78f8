import type { Namespace } from 'socket.io'
import type { Shadows } from './shadows.js'

/** A socket as the hub knows it. */
export interface KnownSocket {
  readonly id: string
  readonly pid: string | undefined
  readonly rooms: ReadonlySet<unknown>
}

/** What an adapter does for sockets that leave for another process, or come from one. */
export interface Door {
  readonly shadows: Shadows
  /** The socket is not here any more; the hub counts it as here until `forget`. */
  depart(socket: KnownSocket): void
  /** It is here. `counted`: the rooms that the hub counts for it beforehand. */
  arrive(socket: KnownSocket, counted: Iterable<unknown>): void
  /** The hub no longer counts a socket, and these rooms. */
  forget(rooms: Iterable<unknown>): void
  /** A socket that is on its way here joins a room, which the hub is to count; or leaves one. */
  joinAhead(pid: string | undefined, room: unknown): void
  leaveAhead(pid: string | undefined, room: unknown): void
  /** It is lost on the way. */
  lose(pid: string | undefined, data?: unknown): void
  /** It acknowledges nothing any more. */
  gone(id: string): void
}

/** The doors of all namespaces of a server. */
export class Doors {
  readonly #doors = new Map<string, Door>()
  readonly #onOpen: (nsp: Namespace) => void

  constructor(onOpen: (nsp: Namespace) => void) {
    this.#onOpen = onOpen
  }

  open(nsp: Namespace, door: Door): void {
    this.#doors.set(nsp.name, door)
    this.#onOpen(nsp)
  }

  shut(nsp: string): void {
    this.#doors.delete(nsp)
  }

  get names(): string[] {
    return [...this.#doors.keys()]
  }

  of(nsp: string): Door | undefined {
    return this.#doors.get(nsp)
  }
}
