import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Who waits for the end of a request, by the connection that it came on. */
const waiting = new WeakMap<Socket, Set<() => void>>()

/** Nobody waits for this answer any more. */
export function isOver(res: ServerResponse): boolean {
  return res.destroyed || res.req.socket.destroyed
}

/**
 * Calls back once when a request has been answered, or its client is gone. An answer behind another one, which has not
 * got the connection yet, says nothing when that ends.
 */
export function onceOver(res: ServerResponse, over: () => void): void {
  const { socket } = res.req
  let all = waiting.get(socket)
  if (!all) {
    const listeners = new Set<() => void>()
    socket.once('close', () => {
      for (const listener of listeners) listener()
    })
    all = listeners
    waiting.set(socket, all)
  }
  const listeners = all
  const end = () => {
    if (listeners.delete(end)) over()
  }
  listeners.add(end)
  res.once('close', end)
}
