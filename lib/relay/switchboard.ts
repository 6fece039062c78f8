import { HubError } from '../errors.js'
import { type Batch, flatten, MARKER, malformed, NO_ATTACHMENTS } from '../wire/batch.js'
import {
  Address,
  ASKING,
  ATTACHED,
  eventHeadEnd,
  eventName,
  hasFlag,
  isWellFormed,
  Kind,
  RECOVERABLE,
  readAddress,
  readKind,
  readLength,
  sameEventHead,
} from '../wire/frame.js'
import { samePacketHead } from '../wire/packet.js'
import { type Directory, Role } from './directory.js'
import { NOWHERE, type Outlet, Peer } from './peer.js'
import { Place } from './place.js'
import { Rooms } from './rooms.js'

export { NOWHERE }

/** More heads than this, and an application makes up names as it goes: the cache starts anew. */
const MAX_CACHED_ROUTES = 1024

/** What the switchboard leaves to the tasks' own room. Each returns where the frame goes as it is. */
export interface TaskRelay {
  request(from: Peer, text: string, at: number, length: number, attachment: Uint8Array | undefined): readonly Outlet[]
  answer(from: Peer, text: string, at: number): readonly Outlet[]
  cancel(from: Peer, text: string, at: number): readonly Outlet[]
}

/** Where recoverable Packets go. */
export type RecoverableRelay = (
  from: Peer,
  text: string,
  at: number,
  length: number,
  attachments: readonly Uint8Array[],
) => void

/**
 * Frames in, frames out. It reads headers and no bodies, and cuts out of a batch the longest runs of frames that go the
 * same way: a producer's thousand events to one seat are one slice of its batch.
 */
export class Switchboard {
  readonly #directory: Directory
  readonly #tasks: TaskRelay
  readonly #rooms: Rooms
  readonly #onControl: (from: Peer, body: string) => void
  readonly #onRecoverable: RecoverableRelay

  constructor(
    directory: Directory,
    tasks: TaskRelay,
    onControl: (from: Peer, body: string) => void,
    rooms = new Rooms(() => {}),
    onRecoverable: RecoverableRelay = () => {},
  ) {
    this.#directory = directory
    this.#tasks = tasks
    this.#rooms = rooms
    this.#onControl = onControl
    this.#onRecoverable = onRecoverable
  }

  /** @throws {HubError} `ERR_HUB_PROTOCOL` when the batch is malformed; what stood before has been relayed */
  receive(from: Peer, batch: Batch): void {
    const { text, attachments } = batch
    let runTo: readonly Outlet[] = NOWHERE
    let runStart = 0
    let runAttached = 0
    let attached = 0
    let lastEvent = -1
    let lastPacket = -1
    let packetsEnd = -1
    let at = MARKER.length
    try {
      while (at < text.length) {
        const length = readLength(text, at)
        if (!isWellFormed(text, at, length)) throw malformed(at)
        const hasAttachment = (text.charCodeAt(at + 4) & ATTACHED) !== 0
        if (hasAttachment && attached === attachments.length) throw malformed(at)
        let to: readonly Outlet[]
        switch (readKind(text, at)) {
          case Kind.Event:
            // Frames that differ in their bodies alone go the same way: the usual case costs no look-up.
            to = lastEvent >= 0 && sameEventHead(text, lastEvent, at) ? runTo : this.#route(from, text, at)
            lastEvent = at
            break
          case Kind.Request:
            to = this.#tasks.request(from, text, at, length, hasAttachment ? attachments[attached] : undefined)
            lastEvent = -1
            break
          case Kind.Response:
          case Kind.Failure:
          case Kind.Refusal:
            to = this.#tasks.answer(from, text, at)
            lastEvent = -1
            break
          case Kind.Cancel:
            to = this.#tasks.cancel(from, text, at)
            lastEvent = -1
            break
          case Kind.Control:
            // What the hub does for a member comes after what that member sent before.
            this.#forward(from, runTo, text, runStart, at, attachments, runAttached, attached)
            runTo = NOWHERE
            runStart = at
            runAttached = attached
            this.#onControl(from, text.substring(at + 8, at + length))
            to = NOWHERE
            lastEvent = -1
            break
          case Kind.Packet:
            if (hasFlag(text, at, RECOVERABLE)) {
              // It is kept, and goes on with its place in the order, so it cannot be part of a run.
              this.#forward(from, runTo, text, runStart, at, attachments, runAttached, attached)
              runTo = NOWHERE
              runStart = at
              runAttached = attached
              const attachment = attachments[attached]
              this.#onRecoverable(from, text, at, length, hasAttachment && attachment ? [attachment] : NO_ATTACHMENTS)
              to = NOWHERE
              packetsEnd = -1
              lastEvent = -1
              break
            }
            if (hasFlag(text, at, ASKING)) to = this.#rooms.ask(from, text, at)
            // As for events. No other frame stood between them, or rooms may have changed meanwhile.
            else if (packetsEnd === at && samePacketHead(text, lastPacket, at)) to = runTo
            else to = this.#rooms.route(from, text, at)
            lastPacket = at
            packetsEnd = at + length
            lastEvent = -1
            break
          case Kind.Answer: {
            const asker = this.#directory.entry(readAddress(text, at))
            to = asker instanceof Peer ? this.#rooms.answer(from, asker, text, at) : NOWHERE
            lastEvent = -1
            break
          }
          default:
            throw malformed(at)
        }
        if (to !== runTo) {
          this.#forward(from, runTo, text, runStart, at, attachments, runAttached, attached)
          runTo = to
          runStart = at
          runAttached = attached
        }
        if (hasAttachment) attached++
        at += length
      }
    } finally {
      this.#forward(from, runTo, text, runStart, at, attachments, runAttached, attached)
    }
  }

  #forward(
    from: Peer,
    to: readonly Outlet[],
    text: string,
    start: number,
    end: number,
    attachments: readonly Uint8Array[],
    firstAttached: number,
    endAttached: number,
  ): void {
    if (to.length === 0 || start === end) return
    const frames = text.substring(start, end)
    const attached = firstAttached < endAttached ? attachments.slice(firstAttached, endAttached) : NO_ATTACHMENTS
    // A slice keeps the whole batch alive: that is no loss where it is most of it, and all receivers share it.
    const owned = frames.length * 2 > text.length && fillTheirBuffer(attached)
    for (const outlet of to) outlet.deliver(from, frames, attached, owned)
  }

  #route(from: Peer, text: string, at: number): readonly Outlet[] {
    if (from.routesVersion !== this.#directory.version || from.routes.size > MAX_CACHED_ROUTES) {
      from.routes.clear()
      from.routesVersion = this.#directory.version
    }
    const head = text.substring(at + 5, eventHeadEnd(text, at))
    let route = from.routes.get(head)
    if (!route) {
      route = this.#resolve(from, readAddress(text, at), eventName(text, at))
      // A slice would keep the batch alive that it was first seen in.
      from.routes.set(flatten(head), route)
    }
    return route
  }

  #resolve(from: Peer, address: number, name: string): readonly Outlet[] {
    let candidates: Iterable<Place>
    if (address === Address.Everybody || address === Address.Others) {
      candidates = this.#directory.places
    } else {
      const entry = this.#directory.entry(address)
      if (entry instanceof Place) candidates = [entry]
      else if (entry instanceof Role) candidates = entry.places
      else {
        // A seat may have been removed a moment ago.
        if (entry || !this.#directory.wasGiven(address)) from.offend(() => nobodyThere(name))
        return NOWHERE
      }
    }
    const to: Outlet[] = []
    for (const place of candidates) {
      if (place.accepts(name) && !(address === Address.Others && place === from.place)) to.push(place)
    }
    return to.length === 0 ? NOWHERE : to.length === 1 ? (to[0] as Place).only : to
  }
}

/** Whether attachments take most of the read buffer that they are views of. */
function fillTheirBuffer(attachments: readonly Uint8Array[]): boolean {
  const buffer = attachments[0]?.buffer
  if (buffer === undefined) return true
  let bytes = 0
  for (const attachment of attachments) {
    if (attachment.buffer !== buffer) return false
    bytes += attachment.byteLength
  }
  return bytes * 2 > buffer.byteLength
}

function nobodyThere(name: string): HubError {
  const event = `event ${JSON.stringify(name)}`
  return new HubError('ERR_HUB_PROTOCOL', `It sent ${event} to an address where no seat and no role has ever been.`)
}
