import type { FAILED } from '../handover.js'
import type { RequestHead } from './raw-handle.js'
import type { Outgoing } from './stand-in.js'

/** What both processes must agree on. */
export const VERSION = 1

/** A WebSocket that moves, as its next process gets to know it. */
export interface WebSocketState {
  /** Which of the servers that `hub.serve()` was given. */
  readonly server: number
  readonly request: RequestHead
  readonly protocol: string
  /** Bytes of the client that make no whole message yet. */
  readonly unread: Uint8Array
  readonly unsent: readonly Outgoing[]
  /** What the application's `onHandover` returned. */
  readonly app: unknown
}

/** What the process that had it tells the one that has it. */
export type Order =
  | { readonly op: 'send'; readonly data: Outgoing }
  | {
      readonly op: 'close'
      readonly data: { readonly code?: number | undefined; readonly reason?: string | undefined }
    }
  | { readonly op: 'terminate'; readonly data?: undefined }

/** And what that one answers. */
export type Answer = 'connected' | typeof FAILED
