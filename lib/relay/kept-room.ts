import type { Position } from '../wire/position.js'
import { Extent } from './extent.js'
import { Fifo } from './fifo.js'

/** What a room weighs beside its name, its packets not counted. */
const ROOM_BYTES = 704

/** What is kept of one room: whoever comes back is asked for its own rooms, and not for all that was sent meanwhile. */
export class KeptRoom<Packet extends Position> {
  readonly name: string
  readonly packets = new Fifo<Packet>()
  /** All packets to it that were ever kept, and those of them that are kept no more. */
  readonly sent: Extent
  readonly forgotten: Extent
  /** The list of it alone, which most packets have. */
  readonly only: readonly this[] = [this]

  /** `forgotten`: the hub's sequence up to which nothing is known of it. */
  constructor(name: string, forgotten: number) {
    this.name = name
    this.sent = new Extent(forgotten)
    this.forgotten = new Extent(forgotten)
  }

  add(packet: Packet): void {
    this.packets.push(packet)
    this.sent.add(packet)
  }

  /** Forgets the oldest packet, which is this. */
  drop(packet: Packet): void {
    this.packets.shift()
    this.forgotten.add(packet)
  }

  get bytes(): number {
    return ROOM_BYTES + this.name.length
  }
}

/** What forgets a room that it is told to. */
interface Home<Room> {
  forget(room: Room): void
}

/** The rooms of all namespaces, and those of them of which no packet is kept any more, from the longest on. */
export class KeptRooms<Room extends { readonly bytes: number }> {
  /** Of all rooms. */
  bytes = 0
  quietBytes = 0
  readonly #quiet = new Map<Room, Home<Room>>()

  added(room: Room): void {
    this.bytes += room.bytes
  }

  quieten(room: Room, home: Home<Room>): void {
    this.quietBytes += room.bytes
    this.#quiet.set(room, home)
  }

  wake(room: Room): void {
    if (this.#quiet.delete(room)) this.quietBytes -= room.bytes
  }

  /** Nobody asks for it any more. */
  remove(room: Room): void {
    this.wake(room)
    this.bytes -= room.bytes
  }

  /** Forgets the one that has been quiet for longest. False if there is none. */
  forget(): boolean {
    for (const [room, home] of this.#quiet) {
      home.forget(room)
      this.remove(room)
      return true
    }
    return false
  }
}
