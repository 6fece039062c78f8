import type { Namespace, Server } from 'socket.io'

// Types of socket.io-adapter, through socket.io: users of strict package managers have no way to the former.

export type Adapter = Namespace['adapter']
export type BroadcastOptions = Parameters<Adapter['broadcast']>[1]
/** The in-memory adapter of the Socket.IO at hand. */
export type AdapterClass = new (nsp: Namespace) => Adapter

/** A server, whatever its events. */
// biome-ignore lint/suspicious/noExplicitAny: typed servers are not assignable to untyped ones, nor to each other
export type AnyServer = Server<any, any, any, any>

/** A packet as `BroadcastOperator` gives it to the adapter; socket.io types it as `any`. */
export interface Packet {
  readonly type: number
  readonly data: unknown[]
  id?: number
  nsp?: string
}
