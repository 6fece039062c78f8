import type { Packets } from '../packets.js'
import { roomKey } from './room-key.js'
import type { Adapter } from './types.js'

/**
 * Tells the hub which rooms have sockets here: the first join and the last leave of each. Who has joined waits until the
 * hub knows, so that all that is sent later, from wherever, comes here, too.
 */
export class LocalRooms {
  readonly #adapter: Adapter
  readonly #packets: Packets
  readonly #nsp: string
  /** Rooms that the hub has been told of, and has not confirmed. */
  readonly #pending = new Map<string, Promise<void>>()
  /** Sockets that the hub was told of before they joined anything, and before they joined the room of their own. */
  readonly #heldAhead = new Set<string>()
  readonly #joinedAhead = new Set<string>()

  constructor(adapter: Adapter, packets: Packets) {
    this.#adapter = adapter
    this.#packets = packets
    this.#nsp = adapter.nsp.name
  }

  /**
   * A socket is about to connect: resolves when the hub knows it and the room of its own. Before, its client must not
   * hear that it is connected: it may tell others, who would find nobody.
   */
  expect(id: string): Promise<void> {
    this.#heldAhead.add(id)
    this.#joinedAhead.add(id)
    this.#packets.tellRooms(this.#nsp, { sockets: true, join: [id] })
    return this.#packets.settled()
  }

  /** Whether the hub has said that it knows the room as held here. */
  knows(room: string): boolean {
    return this.#adapter.rooms.has(room) && !this.#pending.has(room)
  }

  /** Around the in-memory adapter's `addAll`. What it returns must be settled before the join is. */
  adding(id: string, rooms: ReadonlySet<string>, add: () => void): Promise<void> | void {
    const created: string[] = []
    for (const room of rooms) {
      if (!this.#adapter.rooms.has(room) && !(room === id && this.#joinedAhead.delete(id))) created.push(room)
    }
    const appears = !this.#adapter.sids.has(id) && !this.#heldAhead.delete(id)
    if (appears || created.length > 0) {
      const join = created.map(roomKey)
      this.#packets.tellRooms(this.#nsp, appears ? { sockets: true, join } : { join })
    }
    this.#await(created)
    add()
    return this.#confirmed(rooms)
  }

  /** Around the in-memory adapter's `del`. */
  removing(room: string, remove: () => void): void {
    const { rooms } = this.#adapter
    const had = rooms.has(room)
    remove()
    if (!had || rooms.has(room)) return
    this.#pending.delete(room)
    this.#packets.tellRooms(this.#nsp, { leave: [roomKey(room)] })
  }

  /** Around the in-memory adapter's `delAll`. */
  removingAll(id: string, remove: () => void): void {
    const { rooms, sids } = this.#adapter
    const before = [...(sids.get(id) ?? [])]
    const held = sids.has(id) || this.#heldAhead.has(id)
    remove()
    const left = before.filter((room) => !rooms.has(room))
    for (const room of left) this.#pending.delete(room)
    const leave = left.map(roomKey)
    this.#heldAhead.delete(id)
    if (this.#joinedAhead.delete(id)) leave.push(id)
    if (held) this.#packets.tellRooms(this.#nsp, { leave, sockets: false })
  }

  /** Around the in-memory adapter's `delAll`, for a socket that leaves for another member: the hub goes on counting these rooms. */
  departing(id: string, rooms: ReadonlySet<unknown>, remove: () => void): void {
    const all: ReadonlyMap<unknown, unknown> = this.#adapter.rooms
    const sids: ReadonlyMap<string, ReadonlySet<unknown>> = this.#adapter.sids
    const had = sids.get(id)
    remove()
    const emptied = new Set([...(had ?? [])].filter((room) => !all.has(room)))
    for (const room of emptied) this.#pending.delete(room as string)
    // What others here are in, too, counts for them; what nobody else is in, from now on for this one alone.
    const join = [...rooms].filter((room) => !emptied.has(room)).map(roomKey)
    const leave = [...emptied].filter((room) => !rooms.has(room)).map(roomKey)
    if (!had) this.#packets.tellRooms(this.#nsp, { sockets: true, join })
    else if (join.length + leave.length > 0) this.#packets.tellRooms(this.#nsp, { join, leave })
  }

  /** A socket that is about to come from another member joins a room. */
  joiningAhead(room: string): void {
    this.#packets.tellRooms(this.#nsp, { join: [roomKey(room)] })
    this.#await([room])
  }

  /** Around the in-memory adapter's `addAll`, for a socket that comes from another member. `counted`: what the hub counts for it. */
  arriving(rooms: ReadonlySet<unknown>, counted: Iterable<unknown>, add: () => void): void {
    const all: ReadonlyMap<unknown, unknown> = this.#adapter.rooms
    const created = new Set([...rooms].filter((room) => !all.has(room)))
    add()
    // Of a room that had nobody here, that count stands for all who are in it from now on.
    const leave = [...counted].filter((room) => !created.delete(room)).map(roomKey)
    if (leave.length > 0) this.#packets.tellRooms(this.#nsp, { leave })
  }

  /** Another member had sockets here join: the hub counted these rooms as held here meanwhile. */
  admitted(rooms: readonly string[]): void {
    this.#packets.tellRooms(this.#nsp, { leave: rooms.map(roomKey) })
  }

  /** Until the hub has said that it knows them. */
  #await(rooms: readonly string[]): void {
    if (rooms.length === 0) return
    const settled = this.#packets.settled()
    for (const room of rooms) this.#pending.set(room, settled)
    settled.then(() => {
      for (const room of rooms) if (this.#pending.get(room) === settled) this.#pending.delete(room)
    })
  }

  #confirmed(rooms: ReadonlySet<string>): Promise<void> | void {
    if (this.#pending.size === 0) return
    let last: Promise<void> | undefined
    // One may wait for an earlier turn than another: all of them, then.
    const waiting = new Set<Promise<void>>()
    for (const room of rooms) {
      last = this.#pending.get(room)
      if (last) waiting.add(last)
    }
    if (waiting.size === 0) return
    return waiting.size === 1 && last ? last : Promise.all(waiting).then(() => {})
  }
}
