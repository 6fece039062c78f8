/**
 * A frame is one message on a link: a header in its first characters, then a body that only its receiver reads. Numbers
 * are written as characters below 256, so that a batch of Latin text stays a one-byte string inside V8. Lengths count
 * UTF-16 code units.
 *
 * ```
 * every frame      0 length (4)   4 kind and flags (1)   5 address (3)
 * Event            8 name length (1)   9 name, body
 * many of them     8 name length (1)   9 name, count (1), body: a list
 * Request          8 call (4)  12 deadline (6)  18 retries (1)  19 name length (1)  20 name, body
 * Response,
 * Failure, Refusal,
 * Cancel           8 call (4)  12 body
 * Sender           8 incarnation (4)  12 id length (1)  13 id, role
 * Control          8 body: a JSON text
 * Packet           8 call (4)  12 scope (1)  13 namespace length (4)  17 rooms length (4)  21 namespace, rooms, body
 * recoverable, before the body   hub's sequence (6)  sender's sequence (6)  except length (4)  except
 * Answer           8 call (4)  12 body
 * ```
 *
 * The address says whom an Event or Request is for, and whose call a Response, Failure, Refusal, Cancel or Answer is
 * about; a member that cancels says `Address.Hub`, as the call can only be its own. Who sent a frame is never in it:
 * towards the hub the link says so, from the hub a Sender frame stands before the frames of each sender.
 */
export const Kind = {
  Event: 1,
  Request: 2,
  /** A task's answer. */
  Response: 3,
  /** What a task's handler threw. */
  Failure: 4,
  /** A `HubError` in place of an answer. */
  Refusal: 5,
  /** The caller no longer waits. */
  Cancel: 6,
  /** The frames that follow, up to the next Sender, come from this member. */
  Sender: 7,
  /** Between a member and the hub itself. */
  Control: 8,
  /** Of Socket.IO: for whoever holds sockets in its namespace or rooms. See `packet.ts`. */
  Packet: 9,
  /** To a Packet that asked for it. */
  Answer: 10,
} as const

export const KIND_MASK = 0x0f
/** The body is the batch's next attachment. */
export const ATTACHED = 0x80
/** The sender's schema has passed the payload. */
export const VALIDATED = 0x40
/** On a Failure: not what the handler threw, but a `HubError` that came about where it runs. */
export const RAISED = 0x20
/** On a Packet: its sender is told whom it went to, and expects their answers. */
export const ASKING = 0x20
/** On a Packet: not dropped where a slow link drops events. */
export const KEPT = 0x40
/** On a Packet: clients that were away get it when they come back. */
export const RECOVERABLE = 0x10
/** On an Answer: the last one of its sender. */
export const DONE = 0x20

/** Of an Event: the body is its only argument, not the list of them. Most events have one, and a list costs both ends. */
export const SINGLE = 0x20
/** Of an Event: the body is a list of bodies, as many as the character before it says, and each is an event. */
export const MANY = 0x10
/** What that character holds. */
export const MAX_MANY = 255

/** Addresses that mean the same in every hub. Seats, roles and incarnations get the numbers from `FIRST_ADDRESS` on. */
export const Address = { Hub: 0, Everybody: 1, Others: 2, Anybody: 3 } as const
export const FIRST_ADDRESS = 16
export const MAX_ADDRESS = 0xffffff

/** A name's length is one character of the header. */
export const MAX_NAME_LENGTH = 255
export const MAX_RETRIES = 255
const MAX_DEADLINE = 2 ** 48 - 1
/** Beyond it a body does not travel as text: V8's longest string is 2^29 - 24 units, and a batch must stay below it. */
export const MAX_TEXT_LENGTH = 2 ** 27
/** The same for binary: a message is read whole at the other end, and V8 reads none of 2^31 bytes or more. */
export const MAX_BINARY_LENGTH = 2 ** 28

export const HEADER_LENGTH = 8
const EVENT_NAME = 9
const REQUEST_NAME = 20
const CALL_BODY = 12
/** Where a Packet's namespace begins. */
export const PACKET_NAMESPACE = 21
/** What a recoverable Packet has before its body, without the rooms excepted. */
export const RECOVERABLE_LENGTH = 16

export function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
}

export function readUint32(text: string, at: number): number {
  return (
    text.charCodeAt(at) * 0x1000000 +
    ((text.charCodeAt(at + 1) << 16) | (text.charCodeAt(at + 2) << 8) | text.charCodeAt(at + 3))
  )
}

/** Up to 2^48: enough to count for centuries. */
export function uint48(value: number): string {
  const high = Math.floor(value / 0x100000000)
  return String.fromCharCode((high >>> 8) & 255, high & 255) + uint32(value >>> 0)
}

export function readUint48(text: string, at: number): number {
  return ((text.charCodeAt(at) << 8) | text.charCodeAt(at + 1)) * 0x100000000 + readUint32(text, at + 2)
}

function uint24(value: number): string {
  return String.fromCharCode((value >>> 16) & 255, (value >>> 8) & 255, value & 255)
}

/** The frame's length; anything below a header's or beyond the batch's end is for the caller to refuse. */
export const readLength = readUint32

export function readKind(text: string, at: number): number {
  return text.charCodeAt(at + 4) & KIND_MASK
}

export function hasFlag(text: string, at: number, flag: number): boolean {
  return (text.charCodeAt(at + 4) & flag) !== 0
}

export function readAddress(text: string, at: number): number {
  return (text.charCodeAt(at + 5) << 16) | (text.charCodeAt(at + 6) << 8) | text.charCodeAt(at + 7)
}

/** What all frames for one event and target share: everything between kind and body, or the number of bodies. */
export function eventHead(address: number, name: string): string {
  return uint24(address) + String.fromCharCode(name.length) + name
}

// Of the frames that are written in great numbers these make the header alone; the body follows it on the link.

/** `head` as `eventHead` made it. */
export function eventHeader(flags: number, head: string, bodyLength: number): string {
  const length = 5 + head.length + bodyLength
  return (
    String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255, Kind.Event | flags) +
    head
  )
}

/** Of `count` events in one frame. */
export function manyHeader(flags: number, head: string, bodyLength: number, count: number): string {
  return eventHeader(flags | MANY, head, bodyLength + 1) + String.fromCharCode(count)
}

export function requestHeader(
  flags: number,
  address: number,
  call: number,
  deadline: number,
  retries: number,
  name: string,
  bodyLength: number,
): string {
  // Six characters hold milliseconds since the epoch until the year 10889; 0 says that there is no deadline.
  const until = deadline > MAX_DEADLINE ? 0 : Math.ceil(deadline)
  const high = Math.floor(until / 0x100000000)
  const low = until >>> 0
  const length = REQUEST_NAME + name.length + bodyLength
  return (
    String.fromCharCode(
      length >>> 24,
      (length >>> 16) & 255,
      (length >>> 8) & 255,
      length & 255,
      Kind.Request | flags,
      (address >>> 16) & 255,
      (address >>> 8) & 255,
      address & 255,
      call >>> 24,
      (call >>> 16) & 255,
      (call >>> 8) & 255,
      call & 255,
      (high >>> 8) & 255,
      high & 255,
      low >>> 24,
      (low >>> 16) & 255,
      (low >>> 8) & 255,
      low & 255,
      retries,
      name.length,
    ) + name
  )
}

/** Of Response, Failure, Refusal, Cancel and Answer. */
export function callHeader(kind: number, address: number, call: number, bodyLength: number): string {
  const length = CALL_BODY + bodyLength
  return String.fromCharCode(
    length >>> 24,
    (length >>> 16) & 255,
    (length >>> 8) & 255,
    length & 255,
    kind,
    (address >>> 16) & 255,
    (address >>> 8) & 255,
    address & 255,
    call >>> 24,
    (call >>> 16) & 255,
    (call >>> 8) & 255,
    call & 255,
  )
}

/** Response, Failure, Refusal and Cancel, whole. */
export function callFrame(kind: number, address: number, call: number, body: string): string {
  return callHeader(kind, address, call, body.length) + body
}

export function senderFrame(address: number, incarnation: number, id: string, role: string | undefined): string {
  const rest = uint32(incarnation) + String.fromCharCode(id.length) + id + (role ?? '')
  return uint32(HEADER_LENGTH + rest.length) + String.fromCharCode(Kind.Sender) + uint24(address) + rest
}

export function controlFrame(body: string, flags = 0): string {
  return uint32(HEADER_LENGTH + body.length) + String.fromCharCode(Kind.Control | flags) + uint24(Address.Hub) + body
}

export function controlBody(text: string, at: number, length: number): string {
  return text.substring(at + HEADER_LENGTH, at + length)
}

export function readCall(text: string, at: number): number {
  return readUint32(text, at + 8)
}

/** Milliseconds since the epoch; `Infinity` when the caller waits for ever. */
export function readDeadline(text: string, at: number): number {
  const high = (text.charCodeAt(at + 12) << 8) | text.charCodeAt(at + 13)
  const until = high * 0x100000000 + readUint32(text, at + 14)
  return until === 0 ? Number.POSITIVE_INFINITY : until
}

export function readRetries(text: string, at: number): number {
  return text.charCodeAt(at + 18)
}

export function eventName(text: string, at: number): string {
  return text.substring(at + EVENT_NAME, at + EVENT_NAME + text.charCodeAt(at + 8))
}

/** Where an Event frame's head ends. */
export function eventHeadEnd(text: string, at: number): number {
  return at + EVENT_NAME + text.charCodeAt(at + 8)
}

export function eventBody(text: string, at: number): number {
  return eventHeadEnd(text, at) + (hasFlag(text, at, MANY) ? 1 : 0)
}

/** How many messages a frame holds: an Event may hold many, all else is one. */
export function messageCount(text: string, at: number): number {
  const many = readKind(text, at) === Kind.Event && hasFlag(text, at, MANY)
  return many ? text.charCodeAt(eventHeadEnd(text, at)) : 1
}

export function requestName(text: string, at: number): string {
  return text.substring(at + REQUEST_NAME, at + REQUEST_NAME + text.charCodeAt(at + 19))
}

export function requestBody(text: string, at: number): number {
  return at + REQUEST_NAME + text.charCodeAt(at + 19)
}

/** Where the body begins in Response, Failure, Refusal, Cancel and Answer frames. */
export function callBody(at: number): number {
  return at + CALL_BODY
}

/** Where the body begins in an Event, a Request, or a frame about a call. */
export function bodyStart(text: string, at: number): number {
  switch (readKind(text, at)) {
    case Kind.Event:
      return eventBody(text, at)
    case Kind.Request:
      return requestBody(text, at)
    default:
      return callBody(at)
  }
}

export function readSender(
  text: string,
  at: number,
  length: number,
): { incarnation: number; id: string; role: string | undefined } {
  const idEnd = at + 13 + text.charCodeAt(at + 12)
  return {
    incarnation: readUint32(text, at + 8),
    id: text.substring(at + 13, idEnd),
    role: idEnd === at + length ? undefined : text.substring(idEnd, at + length),
  }
}

/**
 * Whether a frame of this length holds all that its header says, so that no reader looks past its end. Header fields
 * that are no numbers below 256 give lengths that do not fit, too.
 */
export function isWellFormed(text: string, at: number, length: number): boolean {
  if (length < HEADER_LENGTH || at + length > text.length) return false
  switch (text.charCodeAt(at + 4) & KIND_MASK) {
    case Kind.Event:
      if (length < EVENT_NAME || eventBody(text, at) > at + length) return false
      return !hasFlag(text, at, MANY) || (!hasFlag(text, at, ATTACHED) && isCount(messageCount(text, at)))
    case Kind.Request:
      return length >= REQUEST_NAME && requestBody(text, at) <= at + length && isUint32(readCall(text, at))
    case Kind.Response:
    case Kind.Failure:
    case Kind.Refusal:
    case Kind.Cancel:
    case Kind.Answer:
      return length >= CALL_BODY
    case Kind.Packet: {
      if (length < PACKET_NAMESPACE || !isUint32(readCall(text, at))) return false
      const namespace = readUint32(text, at + 13)
      const rooms = readUint32(text, at + 17)
      if (namespace < 0 || rooms < 0) return false
      const head = PACKET_NAMESPACE + namespace + rooms
      if (!hasFlag(text, at, RECOVERABLE)) return head <= length
      if (head + RECOVERABLE_LENGTH > length) return false
      const except = readUint32(text, at + head + RECOVERABLE_LENGTH - 4)
      return except >= 0 && head + RECOVERABLE_LENGTH + except <= length
    }
    case Kind.Sender:
      return length >= 13 && 13 + text.charCodeAt(at + 12) <= length
    case Kind.Control:
      return true
    default:
      return false
  }
}

/** What was written with characters above 255 may be no such number: an answer to it would name another call. */
function isUint32(value: number): boolean {
  return value >= 0 && value <= 0xffffffff
}

function isCount(value: number): boolean {
  return value >= 1 && value <= MAX_MANY
}

/** Whether two Event frames of one batch have the same target and name. */
export function sameEventHead(text: string, one: number, other: number): boolean {
  const length = 4 + text.charCodeAt(one + 8)
  for (let i = 5; i < 5 + length; i++) {
    if (text.charCodeAt(one + i) !== text.charCodeAt(other + i)) return false
  }
  return true
}
