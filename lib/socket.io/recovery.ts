import type { Packets } from '../packets.js'
import { recoveryTime, remembers } from './private.js'
import type { Adapter } from './types.js'

/** A session of a client that may come back. */
interface Retained {
  readonly rooms: readonly string[]
  readonly timer: NodeJS.Timeout
}

/**
 * Recovery within this process: the in-memory adapter keeps sessions and packets, and this has the hub go on sending
 * what a client that is away would have got. A client that comes back to another process connects anew.
 *
 * The place for more: a memory in the hub, which `restoreSession` of any process could ask.
 */
export class Recovery {
  readonly #packets: Packets
  readonly #nsp: string
  readonly #retained = new Map<string, Retained>()
  /** How long sessions are kept; 0 when recovery is off. */
  readonly #time: number

  constructor(adapter: Adapter, packets: Packets) {
    this.#packets = packets
    this.#nsp = adapter.nsp.name
    this.#time = remembers(adapter) ? (recoveryTime(adapter.nsp.server) ?? 0) : 0
  }

  /** The client is away. Called before its socket leaves its rooms, so that nothing is missed between. */
  retain(pid: string, rooms: Iterable<string>): void {
    if (this.#time === 0) return
    this.release(pid)
    const names = Array.from(rooms, String)
    this.#packets.tellRooms(this.#nsp, { sockets: true, join: names })
    const timer = setTimeout(() => this.release(pid), this.#time).unref()
    this.#retained.set(pid, { rooms: names, timer })
  }

  /** The client is back, and its socket has joined its rooms; or it stayed away for too long. */
  release(pid: string): void {
    const retained = this.#retained.get(pid)
    if (!retained) return
    clearTimeout(retained.timer)
    this.#retained.delete(pid)
    this.#packets.tellRooms(this.#nsp, { sockets: false, leave: retained.rooms })
  }

  close(): void {
    for (const { timer } of this.#retained.values()) clearTimeout(timer)
    this.#retained.clear()
  }
}
