import type { Socket } from 'socket.io'
import type { Origin } from '../packets.js'
import type { Details } from './details.js'
import type { Encoded } from './private.js'
import type { BroadcastOptions } from './types.js'

/**
 * A socket that is on its way from one process to another, as an adapter sees it: in the process that it leaves, for
 * what the hub had sent there before it moved; and in the one that it comes to, for what is sent before it is there.
 */
export interface Shadow {
  readonly id: string
  readonly rooms: Set<unknown>
  /** Whether what that member sends is for it; undefined: what this process itself does. */
  hears(from: number | undefined): boolean
  /** How far its client is that has got a packet; where that is not how far those of this process are. */
  offsetAt?(origin: Origin): string
  write(packet: Encoded): void
  join(rooms: readonly unknown[]): void
  leave(rooms: readonly unknown[]): void
  disconnect(close: boolean): void
  details(): Details
  /** Where acknowledgements come back to. Without, it cannot be asked yet: `arrived` resolves when the socket can. */
  readonly socket?: Socket
  readonly arrived?: Promise<void>
}

/** Those of one namespace. */
export class Shadows {
  readonly #all = new Set<Shadow>()

  add(shadow: Shadow): void {
    this.#all.add(shadow)
  }

  remove(shadow: Shadow): void {
    this.#all.delete(shadow)
  }

  /** Of what `from` sends, who gets it. */
  concerned({ rooms, except }: BroadcastOptions, from: number | undefined): Shadow[] {
    if (this.#all.size === 0) return []
    return [...this.#all].filter((shadow) => {
      const isIn = (room: unknown) => shadow.rooms.has(room)
      if (!shadow.hears(from)) return false
      return (rooms.size === 0 || [...rooms].some(isIn)) && ![...(except ?? [])].some(isIn)
    })
  }
}
