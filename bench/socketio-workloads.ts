/** What every Socket.IO adapter is asked to do. */

/** `room`: messages to one client, on another worker than the sender's. `broadcast`: to all clients. */
export interface SocketIoWorkload {
  kind: 'room' | 'broadcast'
  workers: number
  clients: number
  /** Deliveries a second; as many as go, where it is left out. */
  rate?: number
}

export interface SocketIoJob extends SocketIoWorkload {
  count: number
}

/** How often the clients tell what they got, in deliveries. */
export function tellEvery({ kind, clients }: SocketIoWorkload): number {
  return kind === 'broadcast' ? clients : 250
}

/** How many deliveries may be on their way: no adapter tells its senders to slow down. */
export function windowOf({ kind, clients }: SocketIoWorkload): number {
  return kind === 'broadcast' ? 20 * clients : 2000
}
