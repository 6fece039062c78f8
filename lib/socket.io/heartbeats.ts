import type { Conn } from './private-engine.js'

/** Signs of life that a client was asked for, here or in the process that had it, and has not given yet. */
interface Beats {
  missing: number
  onAll: () => void
}

const beats = new WeakMap<Conn, Beats>()

/**
 * So many are asked for, one after the other: two, because a client answers before it looks at what came with the question,
 * and one because engine.io may have asked before the session moved, and that answer is taken for the first.
 */
const ROUNDS = 3

/** How many the client is still to give. */
export function missingBeats(conn: Conn): number {
  return beats.get(conn)?.missing ?? 0
}

/** Counts them from now on: so many have been asked for. */
export function countBeats(conn: Conn, missing: number): void {
  const counted: Beats = { missing, onAll: () => {} }
  beats.set(conn, counted)
  conn.on('heartbeat', () => {
    if (counted.missing > 0 && --counted.missing === 0) counted.onAll()
  })
}

/**
 * Calls back when the client has shown that it has got all that it was sent, and so has acknowledged what it does at once;
 * or when it is gone. Of one whose signs of life are counted.
 */
export function whenHeard(conn: Conn, callback: () => void): void {
  const counted = beats.get(conn)
  const onEnd = () => {
    conn.off('close', onEnd)
    // Socket.IO, too, looks at what came with it later.
    setImmediate(callback)
  }
  if (!counted || conn.readyState !== 'open') {
    onEnd()
    return
  }
  let rounds = ROUNDS
  counted.onAll = () => {
    if (rounds === 0) {
      onEnd()
      return
    }
    rounds--
    counted.missing++
    conn.sendPacket('ping')
  }
  conn.on('close', onEnd)
  counted.onAll()
}
