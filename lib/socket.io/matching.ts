import type { Namespace, Socket } from 'socket.io'
import type { Adapter, BroadcastOptions } from './types.js'

/** The sockets here that the options select, each once. They are fixed before anything is sent to any of them. */
export function matching(adapter: Adapter, { rooms, except }: BroadcastOptions): Socket[] {
  const { sockets } = adapter.nsp as Namespace
  const excluded = new Set<string>()
  if (except) for (const room of except) for (const id of adapter.rooms.get(room) ?? []) excluded.add(id)
  const found: Socket[] = []
  const add = (id: string) => {
    const socket = excluded.has(id) ? undefined : sockets.get(id)
    if (socket) found.push(socket)
  }
  if (rooms.size === 0) {
    for (const id of adapter.sids.keys()) add(id)
  } else if (rooms.size === 1) {
    for (const room of rooms) for (const id of adapter.rooms.get(room) ?? []) add(id)
  } else {
    const ids = new Set<string>()
    for (const room of rooms) for (const id of adapter.rooms.get(room) ?? []) ids.add(id)
    for (const id of ids) add(id)
  }
  return found
}
