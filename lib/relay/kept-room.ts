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
