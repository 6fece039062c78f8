import { type Body, decodeArguments, decodeValue, encodeArguments } from '../wire/codec.js'
import { readUint32, uint32 } from '../wire/frame.js'
import { roomKey } from './room-key.js'
import type { BroadcastOptions } from './types.js'

/** Socket.IO's type of an event packet. */
export const EVENT = 2

/** What a packet asks its receivers to do. */
export const Op = {
  /** Write an event to sockets. The payload is the encoded packet. */
  Text: 't',
  /** The same, for what is no plain text. The payload is the event's arguments. */
  Event: 'e',
  /** The same, and answer with what the clients acknowledge. */
  AskEvent: 'a',
  Join: 'j',
  Leave: 'l',
  Disconnect: 'd',
  Fetch: 'f',
  /** `serverSideEmit`. */
  Server: 's',
} as const

/** What stays of the options on the way, in as few letters as it takes. */
interface Carried {
  /** Except these rooms. */
  e?: unknown[]
  v?: boolean
  c?: boolean
  t?: number
  /** Rooms whose names, which the frame's header has, are not what they are. */
  r?: unknown[]
}

/** A body: the operation, the options behind their length, the payload. What is no text is attached. */
export function writeBody(op: string, opts: BroadcastOptions | undefined, payload: Body): Body {
  const options = opts ? writeOptions(opts) : ''
  return { text: op + uint32(options.length) + options + payload.text, bytes: payload.bytes }
}

export interface ReadBody {
  readonly op: string
  readonly opts: BroadcastOptions
  readonly text: string
  readonly bytes: Uint8Array | undefined
}

export function readBody({ text, bytes }: Body, rooms: readonly string[] | undefined): ReadBody {
  const start = 5 + readUint32(text, 1)
  return { op: text.charAt(0), opts: readOptions(text.substring(5, start), rooms), text: text.substring(start), bytes }
}

/** A list of values as the payload of a body or an answer. */
export function listOf(values: readonly unknown[], what: string): Body {
  return encodeArguments(values, what)
}

export function readList(text: string, bytes: Uint8Array | undefined): unknown[] {
  return decodeArguments(text, bytes)
}

export function readJson(text: string): unknown {
  return decodeValue(text, undefined)
}

/** The same for what must be a list. */
export function readArray(text: string): unknown[] {
  return decodeArguments(text, undefined)
}

function writeOptions({ rooms, except, flags }: BroadcastOptions): string {
  const carried: Carried = {}
  let any = false
  for (const room of rooms) {
    if (roomKey(room) === room) continue
    carried.r = [...rooms]
    any = true
    break
  }
  if (except && except.size > 0) {
    carried.e = [...except]
    any = true
  }
  if (flags) {
    if (flags.volatile !== undefined) carried.v = flags.volatile
    if (flags.compress !== undefined) carried.c = flags.compress
    if (flags.timeout !== undefined) carried.t = flags.timeout
    any ||= 'v' in carried || 'c' in carried || 't' in carried
  }
  return any ? JSON.stringify(carried) : ''
}

const NONE: ReadonlySet<string> = new Set<string>()

function readOptions(text: string, rooms: readonly string[] | undefined): BroadcastOptions {
  // Socket.IO's own types want Sets that can be written to; nobody does.
  if (text === '') return { rooms: new Set(rooms), except: NONE as Set<string> }
  const { e, v, c, t, r } = JSON.parse(text) as Carried
  const flags: NonNullable<BroadcastOptions['flags']> = {}
  if (v !== undefined) flags.volatile = v
  if (c !== undefined) flags.compress = c
  if (t !== undefined) flags.timeout = t
  return { rooms: new Set((r as string[] | undefined) ?? rooms), except: new Set(e as string[] | undefined), flags }
}
