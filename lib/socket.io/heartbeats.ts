import type { Conn } from './private-engine.js'

/** Signs of life that were asked for here, and not given yet. */
const missing = new WeakMap<Conn, number>()

/**
 * So many more are asked for when the first has come: one because a client answers before it looks at what came with the
 * question, and one because engine.io may have asked before the session moved, and that answer is taken for the first.
 */
const FURTHER = 2

/** How many the client is still to give. */
export function missingBeats(conn: Conn): number {
  return missing.get(conn) ?? 0
}

/**
 * Calls back when the client has shown that it has got all that it was sent, and so has acknowledged what it does at once;
 * or when it is gone. The first has just been asked for; `before`: so many had been, in the process that had it.
 */
export function whenHeard(conn: Conn, before: number, callback: () => void): void {
  missing.set(conn, before + 1)
  let further = FURTHER
  const onBeat = () => {
    const left = missingBeats(conn) - 1
    missing.set(conn, left)
    if (left > 0) return
    if (further === 0) {
      onEnd()
    } else {
      further--
      missing.set(conn, 1)
      conn.sendPacket('ping')
    }
  }
  const onEnd = () => {
    conn.off('heartbeat', onBeat)
    conn.off('close', onEnd)
    // Socket.IO, too, looks at what came with it later.
    setImmediate(callback)
  }
  conn.on('heartbeat', onBeat)
  conn.on('close', onEnd)
}
