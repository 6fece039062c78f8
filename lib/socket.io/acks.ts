import type { Socket } from 'socket.io'
import { expectAck, forgetAck } from './private-acks.js'

/** Acknowledgements of one packet that sockets of this process still owe. */
interface Expected {
  readonly id: number
  readonly sockets: Map<string, Socket>
  readonly onDone: () => void
}

/** Who owes an acknowledgement of a broadcast: a client that goes away owes none. */
export class Acks {
  readonly #expected = new Set<Expected>()

  /** Calls `onDone` when each has answered or is gone; at once if there is none. Returns what ends the waiting. */
  expect(id: number, sockets: readonly Socket[], onAnswer: (value: unknown) => void, onDone: () => void): () => void {
    const expected: Expected = { id, sockets: new Map(sockets.map((socket) => [socket.id, socket])), onDone }
    if (sockets.length === 0) {
      onDone()
      return () => {}
    }
    this.#expected.add(expected)
    for (const socket of sockets) {
      expectAck(socket, id, (value) => {
        if (!expected.sockets.has(socket.id)) return
        onAnswer(value)
        this.#settle(expected, socket.id)
      })
    }
    return () => {
      if (!this.#expected.delete(expected)) return
      for (const socket of expected.sockets.values()) forgetAck(socket, id)
      expected.sockets.clear()
    }
  }

  /** The socket is gone. */
  gone(socketId: string): void {
    for (const expected of this.#expected) this.#settle(expected, socketId)
  }

  #settle(expected: Expected, socketId: string): void {
    if (!expected.sockets.delete(socketId) || expected.sockets.size > 0) return
    this.#expected.delete(expected)
    expected.onDone()
  }
}
