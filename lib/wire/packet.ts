import { Address, DONE, Kind, PACKET_NAMESPACE, readUint32, uint32 } from './frame.js'

/** Whom a Packet is for, among the members that have its namespace, the sender excepted. */
export const Scope = {
  /** Who holds a socket in one of the rooms. */
  Rooms: 1,
  /** Who holds any socket. */
  Sockets: 2,
  /** Everybody, sockets or none. */
  Servers: 3,
} as const

/** Everything before a Packet's body. */
export function packetHeader(
  flags: number,
  call: number,
  scope: number,
  namespace: string,
  rooms: string,
  bodyLength: number,
): string {
  const length = PACKET_NAMESPACE + namespace.length + rooms.length + bodyLength
  return (
    uint32(length) +
    String.fromCharCode(Kind.Packet | flags, 0, 0, Address.Hub) +
    uint32(call) +
    String.fromCharCode(scope) +
    uint32(namespace.length) +
    uint32(rooms.length) +
    namespace +
    rooms
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
  const rooms: string[] = []
  const end = packetBody(text, at)
  let position = at + PACKET_NAMESPACE + readUint32(text, at + 13)
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
  return at + PACKET_NAMESPACE + readUint32(text, at + 13) + readUint32(text, at + 17)
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
