import type { LifecycleEvents, Member } from '../types.js'

/** The wire's version. Both ends must speak the same. */
export const PROTOCOL = 1

/** What a member tells the hub, as the JSON body of a Control frame. Never on a hot path. */
export type ToHub =
  | { t: 'hello'; protocol: number; version: string }
  | { t: 'listen'; name: string; on: boolean }
  /** A listener for all events came or went. */
  | { t: 'any'; on: boolean }
  /** `concurrency` null: no limit. */
  | { t: 'handle'; name: string; concurrency: number | null }
  | { t: 'unhandle'; name: string }
  | { t: 'ready' }
  /** Asks to be told when the queues towards these seats and roles, or `Address.Everybody`, are under their mark. */
  | { t: 'drained'; n: number; to: readonly number[] }
  | { t: 'pong' }
  /** This member has, or no longer has, a Socket.IO server with this namespace. */
  | { t: 'attach'; nsp: string }
  | { t: 'detach'; nsp: string }
  /** Rooms that sockets of this member are the first to join or the last to leave; `sockets`: one came or went. */
  | { t: 'rooms'; nsp: string; sockets?: boolean; join?: readonly string[]; leave?: readonly string[] }
  /**
   * Makes sockets of others join rooms: the frame goes to whoever holds sockets in `to`, or any if it is null. They
   * count as holders of `rooms` from then on, so that what follows reaches them, until each has sent `rooms` to `leave`.
   */
  | { t: 'admit'; nsp: string; to: readonly string[] | null; rooms: readonly string[]; frame: string }
  /** The member's process stays, but takes no more part. */
  | { t: 'leave' }
  | HttpToHub

/** What `lib/http` tells the hub. */
export type HttpToHub =
  /** This member serves HTTP; its server also listens on that private socket. `tls`: it speaks TLS there, too. */
  | { t: 'serve'; socket: string; tls: boolean }
  | { t: 'unserve' }
  /** How many connections it has taken since it began to serve, and how many of them are open. */
  | { t: 'connections'; taken: number; open: number }
  /** With a handle: a connection for that incarnation, or for anybody. Its bytes have been read, and not answered. */
  | { t: 'route'; to: number | undefined }

export interface AddressedMember extends Member {
  readonly address: number
}

/** What the hub tells a member. */
export type ToMember =
  | {
      t: 'welcome'
      id: string
      role: string | undefined
      incarnation: number
      /** Of this incarnation: where answers to it go, and what its sessions are named after. */
      address: number
      members: AddressedMember[]
      roles: [name: string, address: number][]
      settings: Settings
    }
  /** The hub does not take this process. */
  | { t: 'refused'; message: string }
  | { t: 'member'; member: AddressedMember; role: [name: string, address: number] | undefined }
  | { t: 'removed'; id: string }
  | { t: 'lifecycle'; event: keyof LifecycleEvents; member: Member; info: unknown }
  /** A queue towards that address is over its mark, or no longer. */
  | { t: 'pressure'; address: number; on: boolean }
  | { t: 'drained'; n: number }
  | { t: 'ping' }
  /** How many members have a Socket.IO server with this namespace. */
  | { t: 'members'; nsp: string; count: number }
  /** The incarnations that will answer a Packet of this member. */
  | { t: 'asked'; call: number; to: readonly number[] }
  /** An incarnation with a Socket.IO server is no more: it answers nothing. */
  | { t: 'gone'; address: number }
  /** Finish your work and end. */
  | { t: 'stop' }
  | { t: 'left' }
  | HttpToMember

/** What the hub tells `lib/http` in a member. */
export type HttpToMember =
  /** With a handle: a connection, and the bytes that have been read of it. */
  { t: 'connection' } | HttpServers

/** Below which paths requests have a session, who serves, where, and what tells members from others there. */
export interface HttpServers {
  t: 'servers'
  paths: readonly string[]
  servers: readonly HttpServerAt[]
  secret: string
}

/** Where an incarnation serves HTTP to the other members. */
export interface HttpServerAt {
  readonly address: number
  readonly socket: string
  readonly tls: boolean
}

/** What all members of a hub share. */
export interface Settings {
  timeout: number
  highWaterMark: number
  maxQueueBytes: number
  gracePeriod: number
}

/** As they arrive: JSON has no `Infinity`, which each of them may be, and writes null. */
export function readSettings(settings: { readonly [K in keyof Settings]: number | null }): Settings {
  const { timeout, highWaterMark, maxQueueBytes, gracePeriod } = settings
  return {
    timeout: timeout ?? Number.POSITIVE_INFINITY,
    highWaterMark: highWaterMark ?? Number.POSITIVE_INFINITY,
    maxQueueBytes: maxQueueBytes ?? Number.POSITIVE_INFINITY,
    gracePeriod: gracePeriod ?? Number.POSITIVE_INFINITY,
  }
}
