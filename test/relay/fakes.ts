import { Exchange, type ExchangeHooks, type ExchangeOptions } from '#lib/exchange.js'
import type { ToHub, ToMember } from '#lib/relay/control.js'
import { PROTOCOL } from '#lib/relay/control.js'
import type { Peer } from '#lib/relay/peer.js'
import type { Place } from '#lib/relay/place.js'
import { VERSION } from '#lib/version.js'
import { MARKER } from '#lib/wire/batch.js'
import { ATTACHED, controlFrame, Kind, readKind, readSender } from '#lib/wire/frame.js'
import { FakeTransport, type Frame } from '../wire/fake-transport.js'
import { eventFrame } from '../wire/frames.js'

export const OPTIONS: ExchangeOptions = {
  timeout: 1000,
  highWaterMark: 1e9,
  maxQueueBytes: 1e9,
  maxMessageBytes: 1e9,
  gracePeriod: 1000,
  slowAfter: 60_000,
  maxHeldBytes: 1e9,
  maxQueuedTasks: 1e6,
  maxPendingCalls: 1e6,
  recovery: { maxBytes: 1e9, maxPackets: 1e6, maxSessions: 1e6 },
}

/** Frames on their way to the hub, and what they carry. */
export class Outgoing {
  text = MARKER
  readonly attachments: Uint8Array[] = []

  add(frame: string, attachment?: Uint8Array): this {
    this.text += frame
    if (attachment) this.attachments.push(attachment)
    return this
  }

  event(address: number, name: string, body: string, attachment?: Uint8Array): this {
    return this.add(eventFrame(attachment ? ATTACHED : 0, address, name, body), attachment)
  }

  control(message: ToHub): this {
    return this.add(controlFrame(JSON.stringify(message)))
  }
}

/** A frame that reached a member, with the id of its sender; the hub's own have none. */
export interface Arrived extends Frame {
  readonly from: string | undefined
}

/** Everybody may be ready; nobody else listens. */
export const HOOKS: ExchangeHooks = {
  ready: () => true,
  told: () => {},
  left: () => {},
  opened: () => {},
  shut: () => {},
  succeeded: () => {},
  gone: () => {},
  http: () => {},
  handle: () => {},
}

/** A hub whose members are fake transports. */
export class FakeHub {
  readonly exchange: Exchange
  readonly #transports = new Map<Peer, FakeTransport>()

  constructor(options: Partial<ExchangeOptions> = {}) {
    this.exchange = new Exchange({ ...OPTIONS, ...options }, HOOKS)
  }

  place(id: string, role?: string): Place {
    return this.exchange.addPlace(id, role)
  }

  enter(place: Place): Peer {
    const transport = new FakeTransport()
    const peer = this.exchange.enter(place, place.incarnation + 1, transport)
    this.#transports.set(peer, transport)
    this.send(peer, new Outgoing().control({ t: 'hello', protocol: PROTOCOL, version: VERSION }))
    return peer
  }

  /** A seat with a process that is ready, and listens to these. */
  member(id: string, listensTo: string[] = [], role?: string): Peer {
    const peer = this.enter(this.place(id, role))
    const registrations = new Outgoing()
    for (const name of listensTo) registrations.control({ t: 'listen', name, on: true })
    this.send(peer, registrations.control({ t: 'ready' }))
    return peer
  }

  send(from: Peer, { text, attachments }: Outgoing): void {
    this.exchange.receive(from, () => ({ text, attachments }))
  }

  /** Lets all links flush, and takes what has reached this member so far. */
  async arrived(peer: Peer): Promise<Arrived[]> {
    await new Promise((resolve) => setImmediate(resolve))
    const transport = this.#transports.get(peer) as FakeTransport
    transport.acknowledgeAll()
    const arrived: Arrived[] = []
    for (const batch of transport.batches.splice(0)) {
      const single = new FakeTransport()
      single.batches.push(batch)
      // Every batch names its senders anew.
      let from: string | undefined
      for (const frame of single.frames) {
        const kind = readKind(frame.text, 0)
        if (kind === Kind.Sender) from = readSender(frame.text, 0, frame.text.length).id
        else arrived.push({ ...frame, from: kind === Kind.Control ? undefined : from })
      }
    }
    return arrived
  }

  /** The same without what the hub itself has told. */
  async messages(peer: Peer): Promise<Arrived[]> {
    return (await this.arrived(peer)).filter(({ text }) => readKind(text, 0) !== Kind.Control)
  }

  async told(peer: Peer): Promise<ToMember[]> {
    return (await this.arrived(peer))
      .filter(({ text }) => readKind(text, 0) === Kind.Control)
      .map(({ text }) => JSON.parse(text.slice(8)) as ToMember)
  }
}
