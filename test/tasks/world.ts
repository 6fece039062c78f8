import assert from 'node:assert/strict'
import { Exchange } from '#lib/exchange.js'
import { PROTOCOL, type ToHub } from '#lib/relay/control.js'
import type { Peer } from '#lib/relay/peer.js'
import type { Place } from '#lib/relay/place.js'
import type { MemberState } from '#lib/types.js'
import { VERSION } from '#lib/version.js'
import { MARKER, readBatch } from '#lib/wire/batch.js'
import {
  Address,
  ATTACHED,
  callBody,
  callFrame,
  controlFrame,
  eventBody,
  eventHead,
  eventHeader,
  Kind,
  readAddress,
  readCall,
  readKind,
  requestBody,
  requestHeader,
  requestName,
} from '#lib/wire/frame.js'
import { HOOKS } from '../relay/fakes.js'

/** What the hub gave to the link of a member, in the order in which it did, over all members. */
export type Sent =
  | { type: 'task'; to: Process; from: Process; call: number; task: string; body: string }
  | { type: 'cancel'; to: Process; from: Process; call: number }
  | { type: 'event'; to: Process; from: Process; body: string }
  | { type: 'answer'; to: Process; call: number; body: string }
  | { type: 'refusal'; to: Process; call: number; code: string; message: string }

/** One incarnation, without a process and without a link. */
export class Process {
  readonly peer: Peer
  readonly handlers = new Map<string, number>()
  ready = false
  gone = false
  forged = 0
  lastCall = -1
  readonly #world: World

  constructor(world: World, peer: Peer) {
    this.#world = world
    this.peer = peer
  }

  get id(): string {
    return this.peer.place.id
  }

  tell(message: ToHub): void {
    this.send(controlFrame(JSON.stringify(message)))
  }

  handle(task: string, concurrency = Number.POSITIVE_INFINITY): void {
    this.handlers.set(task, concurrency)
    this.tell({ t: 'handle', name: task, concurrency: Number.isFinite(concurrency) ? concurrency : null })
  }

  unhandle(task: string): void {
    this.handlers.delete(task)
    this.tell({ t: 'unhandle', name: task })
  }

  /** All frames in one batch. */
  send(frames: string, attachments: Uint8Array[] = []): void {
    this.#world.exchange.receive(this.peer, () => ({ text: MARKER + frames, attachments }))
  }

  ask(address: number, task: string, retries = 0): number {
    const call = ++this.lastCall
    this.send(this.frame(address, task, call, retries))
    return call
  }

  frame(address: number, task: string, call: number, retries = 0, flags = 0): string {
    const body = `${this.peer.address}.${call}`
    return requestHeader(flags, address, call, 0, retries, task, body.length) + body
  }

  event(address: number, body: string): string {
    return eventHeader(0, eventHead(address, 'e'), body.length) + body
  }

  answer(caller: Process, call: number, body = `answer ${call}`): void {
    this.send(callFrame(Kind.Response, caller.peer.address, call, body))
  }

  cancel(call: number): void {
    this.send(callFrame(Kind.Cancel, Address.Hub, call, ''))
  }

  emit(address: number, body: string): void {
    this.send(this.event(address, body))
  }
}

export interface WorldOptions {
  maxQueuedTasks?: number
  maxQueueBytes?: number
  maxHeldBytes?: number
}

/** A hub's own half, driven by hand: what a supervisor and its processes would do to it, each a call. */
export class World {
  readonly exchange: Exchange
  /** What was sent since it was last looked at. */
  #sent: Sent[] = []
  readonly #processes = new Map<Peer, Process>()

  constructor(options: WorldOptions = {}) {
    this.exchange = new Exchange(
      {
        timeout: 1000,
        highWaterMark: 1 << 20,
        maxQueueBytes: 1 << 20,
        gracePeriod: 1000,
        slowAfter: 1000,
        maxHeldBytes: 1 << 20,
        recovery: { maxBytes: 0, maxPackets: 0, maxSessions: 0 },
        maxQueuedTasks: 1000,
        maxPendingCalls: 1e6,
        ...options,
      },
      HOOKS,
    )
  }

  place(id: string, role?: string): Place {
    return this.exchange.addPlace(id, role)
  }

  start(place: Place): Process {
    const peer = this.exchange.enter(place, place.incarnation + 1, {
      send: (_, done) => done(null),
      sendHandle: () => {},
    })
    const process = new Process(this, peer)
    this.#processes.set(peer, process)
    peer.tell = (frames) => this.#record(process, undefined, frames, [])
    peer.deliver = (sender, frames, attachments) => this.#record(process, sender, frames, attachments)
    this.exchange.update(place, 'starting', 1)
    process.tell({ t: 'hello', protocol: PROTOCOL, version: VERSION })
    this.sent()
    return process
  }

  open(process: Process): void {
    process.ready = true
    process.tell({ t: 'ready' })
    this.exchange.update(process.peer.place, 'ready', 1)
  }

  /** A member that serves these tasks, ready. */
  member(id: string, handlers: Record<string, number> = {}, role?: string): Process {
    const process = this.start(this.place(id, role))
    for (const [task, concurrency] of Object.entries(handlers)) process.handle(task, concurrency)
    this.open(process)
    return process
  }

  exit(process: Process, next: MemberState): void {
    process.gone = true
    process.ready = false
    const { peer } = process
    this.exchange.leave(peer, { code: 1, signal: null })
    this.exchange.update(peer.place, next, undefined)
  }

  /** Empties the record of what the hub sent. */
  sent(): Sent[] {
    const sent = this.#sent
    this.#sent = []
    return sent
  }

  #record(to: Process, sender: Peer | undefined, frames: string, attachments: readonly Uint8Array[]): void {
    assert.equal(to.gone, false, 'nothing is delivered to a process that is gone')
    readBatch({ text: MARKER + frames, attachments }, (text, at, length, attachment) => {
      const kind = readKind(text, at)
      if (kind === Kind.Control) return
      const from = sender && this.#processes.get(sender)
      const call = kind === Kind.Event ? 0 : readCall(text, at)
      if (kind === Kind.Refusal) {
        this.#sent.push({ type: 'refusal', to, call, ...JSON.parse(text.substring(callBody(at), at + length)) })
      } else if (kind === Kind.Response || kind === Kind.Failure) {
        assert.equal(readAddress(text, at), to.peer.address)
        this.#sent.push({ type: 'answer', to, call, body: text.substring(callBody(at), at + length) })
      } else if (!from) {
        throw new Error(`Frame of kind ${kind} without a sender`)
      } else if (kind === Kind.Request) {
        const body = text.substring(requestBody(text, at), at + length)
        assert.equal(body, `${from.peer.address}.${call}`, 'a task comes with its own body and caller')
        if (text.charCodeAt(at + 4) & ATTACHED) assert.equal(attachment?.[0], call % 256, 'and its own attachment')
        this.#sent.push({ type: 'task', to, from, call, task: requestName(text, at), body })
      } else if (kind === Kind.Cancel) {
        this.#sent.push({ type: 'cancel', to, from, call })
      } else {
        this.#sent.push({ type: 'event', to, from, body: text.substring(eventBody(text, at), at + length) })
      }
    })
  }
}
