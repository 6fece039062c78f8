import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { onceOver } from './request-end.js'

/** An upgrade that is not answered yet. */
interface Upgrade {
  readonly id: string | undefined
  readonly socket: Socket
  /** What had been written to its connection before. */
  readonly written: number
}

/** Requests of sessions that this member itself is working on. The id of a session that is about to be opened is undefined. */
export class Progress {
  readonly #requests = new Map<string | undefined, number>()
  readonly #upgrades = new Set<Upgrade>()
  /** Open polls. */
  polls = 0

  poll(res: ServerResponse): void {
    this.polls++
    onceOver(res, () => this.polls--)
  }

  request(id: string | undefined, res: ServerResponse): void {
    this.#requests.set(id, (this.#requests.get(id) ?? 0) + 1)
    onceOver(res, () => {
      const left = (this.#requests.get(id) ?? 1) - 1
      if (left > 0) this.#requests.set(id, left)
      else this.#requests.delete(id)
    })
  }

  upgrade(id: string | undefined, socket: Duplex): void {
    if (!(socket instanceof Socket)) return
    const upgrade = { id, socket, written: socket.bytesWritten }
    this.#upgrades.add(upgrade)
    socket.once('close', () => this.#upgrades.delete(upgrade))
  }

  /** Whether any but a poll is in progress. */
  has(id: string | undefined): boolean {
    if (this.#requests.has(id)) return true
    let found = false
    for (const upgrade of this.#upgrades) {
      // Its answer is written in the turn in which the session hears of it.
      if (upgrade.socket.bytesWritten > upgrade.written) this.#upgrades.delete(upgrade)
      else if (upgrade.id === id) found = true
    }
    return found
  }
}
