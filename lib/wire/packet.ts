import { flatten } from './batch.js'
import {
  Address,
  DONE,
  hasFlag,
  KEPT,
  Kind,
  PACKET_NAMESPACE,
  RECOVERABLE,
  RECOVERABLE_LENGTH,
  readUint32,
  readUint48,
  uint32,
  uint48,
} from './frame.js'

/** Whom a Packet is for, among the members that have its namespace, the sender excepted. */
export const Scope = {
  /** Who holds a socket in one of the rooms. */
  Rooms: 1,
  /** Who holds any socket. */
  Sockets: 2,
  /** Everybody, sockets or none. */
  Servers: 3,
  /** Nobody: the sender has delivered it, and the hub keeps it for clients that are away. */
  Nobody: 4,
} as const

/** Everything before a Packet's body; `recovery` as `writeRecovery` made it, where `flags` has RECOVERABLE. */
export function packetHeader(
  flags: number,
  call: number,
  scope: number,
  namespace: string,
  rooms: string,
  bodyLength: number,
  recovery = '',
): string {
  const length = PACKET_NAMESPACE + namespace.length + rooms.length + recovery.length + bodyLength
  return (
    uint32(length) +
    String.fromCharCode(Kind.Packet | flags, 0, 0, Address.Hub) +
    uint32(call) +
    String.fromCharCode(scope) +
    uint32(namespace.length) +
    uint32(rooms.length) +
    namespace +
    rooms +
    recovery
  )
}

/** The rooms as a Packet carries them: each behind its length. */
export function writeRooms(rooms: Iterable<string>): string {
  let text = ''
  for (const room of rooms) text += uint32(room.length) + room
  return text
}

export function readScope(text: string, at: number): number {
  return text.charCodeAt(at + 12)
}

export function packetNamespace(text: string, at: number): string {
  const start = at + PACKET_NAMESPACE
  return text.substring(start, start + readUint32(text, at + 13))
}

export function packetRooms(text: string, at: number): string[] {
  const end = packetRecovery(text, at)
  return readRooms(text, at + PACKET_NAMESPACE + readUint32(text, at + 13), end)
}

function readRooms(text: string, start: number, end: number): string[] {
  const rooms: string[] = []
  let position = start
  while (position < end) {
    const start = position + 4
    // Whoever lies about a room's length names another room: nothing beyond the list is read, and nothing twice.
    position = Math.min(start + Math.max(readUint32(text, position), 0), end)
    rooms.push(text.slice(start, position))
  }
  return rooms
}

/** Where a Packet's body begins. */
export function packetBody(text: string, at: number): number {
  const end = packetRecovery(text, at)
  if (!hasFlag(text, at, RECOVERABLE)) return end
  return end + RECOVERABLE_LENGTH + readUint32(text, end + RECOVERABLE_LENGTH - 4)
}

/** What a recoverable Packet has before its body: its sender's sequence, and the rooms excepted. The hub adds its own. */
export function writeRecovery(sequence: number, except: Iterable<string>): string {
  const rooms = writeRooms(except)
  return uint48(0) + uint48(sequence) + uint32(rooms.length) + rooms
}

/** Where that begins. */
function packetRecovery(text: string, at: number): number {
  return at + PACKET_NAMESPACE + readUint32(text, at + 13) + readUint32(text, at + 17)
}

/** A recoverable Packet's place in the order of the hub; 0 where the hub has not given it one. */
export function hubSequence(text: string, at: number): number {
  return readUint48(text, packetRecovery(text, at))
}

/** Its place among the Packets of its sender. */
export function senderSequence(text: string, at: number): number {
  return readUint48(text, packetRecovery(text, at) + 6)
}

export function packetExcept(text: string, at: number): string[] {
  const start = packetRecovery(text, at) + RECOVERABLE_LENGTH
  return readRooms(text, start, start + readUint32(text, start - 4))
}

/** A recoverable Packet of a batch with the hub's sequence, in memory of its own. */
export function sequenced(text: string, at: number, length: number, sequence: number): string {
  const start = packetRecovery(text, at)
  return flatten(text.substring(at, start) + uint48(sequence) + text.substring(start + 6, at + length))
}

/** The same once more, for a client that comes back: `call` is its member's question for the session. */
export function replayed(frame: string, call: number): string {
  const kind = String.fromCharCode(frame.charCodeAt(4) | KEPT)
  return frame.substring(0, 4) + kind + frame.substring(5, 8) + uint32(call) + frame.substring(12)
}

/** Whether two Packets of one batch are for the same rooms of the same namespace. */
export function samePacketHead(text: string, one: number, other: number): boolean {
  const length = packetBody(text, one) - one
  for (let i = 12; i < length; i++) {
    if (text.charCodeAt(one + i) !== text.charCodeAt(other + i)) return false
  }
  return true
}

/** `done`: no more answers follow. */
export function answerKind(done: boolean): number {
  return done ? Kind.Answer | DONE : Kind.Answer
}
