import type { Conn } from './private-engine.js'

/** Signs of life that a client was asked for, here or in the process that had it, and has not given yet. */
interface Beats {
  missing: number
  onAll: () => void
}

const beats = new WeakMap<Conn, Beats>()

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
 * or when it is gone. A client answers to a sign of life before it looks at what came with that, and so to the next one
 * afterwards. Of one whose signs of life are counted.
 */
export function whenHeard(conn: Conn, callback: () => void): void {
  const counted = beats.get(conn)
  // Socket.IO, too, looks at what came with it later.
  const onEnd = () => {
    conn.off('close', onEnd)
    setImmediate(callback)
  }
  const ask = (onAll: () => void) => {
    if (!counted) return
    counted.missing++
    counted.onAll = onAll
    conn.sendPacket('ping')
  }
  if (!counted || conn.readyState !== 'open') {
    onEnd()
    return
  }
  conn.on('close', onEnd)
  ask(() => ask(onEnd))
}
