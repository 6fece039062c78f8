import type { LifecycleEvents, Member } from '../types.js'

/** The incarnation that takes over: the next one of the same seat, or, where a role shrinks, another seat's. */
export interface Successor {
  readonly id: string
  readonly incarnation: number
  /** Of that incarnation: what is sent there goes to it alone. */
  readonly address: number
}

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
  | { t: 'pong'; n?: number }
  /** This member has, or no longer has, a Socket.IO server with this namespace; perhaps with recovery on. */
  | { t: 'attach'; nsp: string; recovery?: RecoveryTimes }
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
  | RecoveryToHub
  | HandoverToHub
  | HttpToHub

/** What members with connection state recovery tell the hub. The client is named by its `pid`, which is secret. */
export type RecoveryToHub =
  /** It has connected. */
  | ({ t: 'session'; nsp: string } & OpenedSession)
  | ({ t: 'session-rooms'; nsp: string } & SessionRooms)
  /** Its socket is lost, and it may come back. Without `data`: it tried to come back here, and failed. */
  | { t: 'session-away'; nsp: string; pid: string; data?: SessionData }
  /** It has left, or was made to. */
  | { t: 'session-end'; nsp: string; pid: string }
  /**
   * It wants to go on here, having got as far as `offset`: answered by `restored`, after the packets that it missed, or by
   * `again`.
   */
  | { t: 'restore'; nsp: string; n: number; pid: string; offset: string; again?: boolean }

/** Sessions with this number and above are plain WebSockets, those below are sessions of Socket.IO. */
export const FIRST_WEB_SOCKET = 2 ** 31

/**
 * What members tell when clients move from one process to another, without being disconnected. `n` is the leaving
 * process's number for the session.
 */
export type HandoverToHub =
  /**
   * The session is that incarnation's from now on, in the order of all that is relayed: what comes later for these rooms
   * is for it. Answered by `moved`. Where `polls`, no connection follows.
   */
  | { t: 'move'; to: number; n: number; polls?: boolean; sockets: readonly MovingSocket[]; state: SessionData }
  /** What one of the two tells the other. */
  | { t: 'pass'; to: number; n: number; op: string; data?: SessionData }
  /** With a handle: the session's connection. */
  | { t: 'take'; to: number; n: number }
  /** Sessions that stay behind, and so will lose their connection. */
  | { t: 'unmoved'; count: number }

/** What a member passes to another when nothing for a session follows from it any more. */
export const RELEASED = 'released'

/** What a member answers that cannot take a session which it was given. */
export const FAILED = 'failed'

/** A socket of a session that moves, as far as the hub must know it. */
export interface MovingSocket {
  readonly nsp: string
  /** Where recovery is on. */
  readonly pid?: string | undefined
  readonly rooms: readonly string[]
}

/** What the hub tells the two. */
export type HandoverToMember =
  /** The session is this member's from here on. */
  | { t: 'moving'; from: number; n: number; state: SessionData }
  /** The answer to `move`, behind that point of the hub's order; not `taken`: that incarnation cannot have it. */
  | { t: 'moved'; n: number; taken: boolean; hub: number }
  | { t: 'passed'; from: number; n: number; op: string; data?: SessionData }
  /** The session went with the process that had it; where recovery is on its client is known to be away. */
  | { t: 'lost'; from: number; n: number }
  /** With a handle. */
  | { t: 'taken'; from: number; n: number }

/** How long sessions of clients that are away, and packets, are kept, in milliseconds; `Infinity` arrives as null. */
export interface RecoveryTimes {
  readonly session: number
  readonly packets: number
}

/** `at`: where the member stood in its order of packets, as `writePosition` writes it. */
export interface OpenedSession {
  readonly pid: string
  readonly sid: string
  readonly at: string
  readonly rooms: readonly string[]
  readonly data: SessionData
}

/** Rooms that the client joined or left. `fresh`: none of the member's sockets was in those that it joined. */
export interface SessionRooms {
  readonly pid: string
  readonly at: string
  readonly join?: readonly string[]
  readonly fresh?: boolean
  readonly leave?: readonly string[]
}

/** A socket's `data`, encoded: its text, and what is no text as base64. */
export interface SessionData {
  readonly text: string
  readonly bytes?: string | undefined
}

/** What `lib/http` tells the hub. */
export type HttpToHub =
  /** This member serves HTTP; its server also listens on that private socket. `tls`: it speaks TLS there, too. */
  | { t: 'serve'; socket: string; tls: boolean }
  | { t: 'unserve' }
  /** How many connections it has taken since it began to serve, and how many of them are open. */
  | { t: 'connections'; taken: number; open: number }
  /**
   * With a handle: a connection for that incarnation, or for anybody. Its bytes have been read, and not answered. `kept`:
   * no request is in progress on it, but there has been one.
   */
  | { t: 'route'; to: number | undefined; kept?: boolean }

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
      /** What the private sockets of this hub's members are called, before their addresses. */
      sockets: string
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
  /** Asks for a sign of life, with the same number. */
  | { t: 'ping'; n?: number }
  /** How many members have a Socket.IO server with this namespace. `recovers`: the hub keeps its packets. */
  | { t: 'members'; nsp: string; count: number; recovers: boolean }
  /** The incarnations that will answer a Packet of this member. */
  | { t: 'asked'; call: number; to: readonly number[] }
  /** An incarnation with a Socket.IO server is no more: it answers nothing. */
  | { t: 'gone'; address: number }
  /** All packets up to that one of the hub's order that are for this member have been sent to it. */
  | { t: 'position'; hub: number }
  /** The answer to `restore`, at that point of the hub's order; null: the client has to connect anew. */
  | { t: 'restored'; n: number; hub: number; session: RestoredSession | null }
  /** `restore` is to be asked again, with `again`: whoever had the client's socket is now known to have lost it. */
  | { t: 'again'; n: number }
  /** It sent what the hub does not take: told once. */
  | { t: 'offence'; message: string }
  /** Finish your work and end. */
  | { t: 'stop' }
  /**
   * The same, within `gracePeriod` milliseconds; but first hand over to that incarnation what can be, within so many.
   * `Infinity` arrives as null.
   */
  | { t: 'handover'; to: Successor; within: number | null; gracePeriod: number | null }
  /** That incarnation takes nothing any more. */
  | { t: 'orphaned' }
  | { t: 'left' }
  | HandoverToMember
  | HttpToMember

/** The session of a client that comes back. */
export interface RestoredSession {
  readonly sid: string
  readonly rooms: readonly string[]
  readonly data: SessionData
}

/** What the hub tells `lib/http` in a member. */
export type HttpToMember =
  /**
   * With a handle: a connection. What has been read of it stands in `read`, as Latin-1, or is attached. `kept`: another
   * member has kept it open between two requests.
   */
  { t: 'connection'; read?: string; kept?: boolean } | HttpServers

/** Below which paths requests have a session, who serves, where, and what tells members from others there. */
export interface HttpServers {
  t: 'servers'
  paths: readonly string[]
  servers: readonly HttpServerAt[]
  /** Whose sessions others have taken over. */
  successors: readonly (readonly [from: number, to: number])[]
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
  maxMessageBytes: number
  maxPendingCalls: number
  gracePeriod: number
}

/** As they arrive: JSON has no `Infinity`, which each of them may be, and writes null. */
export function readSettings(settings: { readonly [K in keyof Settings]: number | null }): Settings {
  const { timeout, highWaterMark, maxQueueBytes, maxMessageBytes, maxPendingCalls, gracePeriod } = settings
  return {
    timeout: timeout ?? Number.POSITIVE_INFINITY,
    highWaterMark: highWaterMark ?? Number.POSITIVE_INFINITY,
    maxQueueBytes: maxQueueBytes ?? Number.POSITIVE_INFINITY,
    maxMessageBytes: maxMessageBytes ?? Number.POSITIVE_INFINITY,
    maxPendingCalls: maxPendingCalls ?? Number.POSITIVE_INFINITY,
    gracePeriod: gracePeriod ?? Number.POSITIVE_INFINITY,
  }
}
