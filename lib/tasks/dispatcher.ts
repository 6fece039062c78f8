import type { HubErrorCode } from '../errors.js'
import { type Directory, Role } from '../relay/directory.js'
import { type Outlet, Peer } from '../relay/peer.js'
import { Place } from '../relay/place.js'
import { NOWHERE, type TaskRelay } from '../relay/switchboard.js'
import { flatten, NO_ATTACHMENTS } from '../wire/batch.js'
import { Address, callFrame, Kind, readAddress, readCall, readRetries, requestName } from '../wire/frame.js'
import { type Audience, Call, type Handler } from './call.js'
import { TaskQueue } from './queue.js'
import * as say from './refusals.js'

/** More task names than this, and an application makes them up as it goes: they are collected anew. */
const MAX_NAMES = 1024

export interface DispatcherOptions {
  /** Tasks that may wait in the hub for a handler with room, over all tasks. */
  maxQueuedTasks: number
  /** And their bytes. */
  maxQueueBytes: number
}

/** What the hub knows of one incarnation's tasks. */
interface Desk {
  /** Its own calls, by the number that it gave them. */
  readonly calls: Map<number, Call>
  /** What it works on. */
  readonly serving: Set<Call>
  readonly handlers: Map<string, Handler>
}

/**
 * Hands tasks to members: finds a server, keeps each handler within its concurrency, lets the rest wait in order, and
 * sees to it that every call is answered exactly once, whatever becomes of the members.
 */
export class Dispatcher implements TaskRelay {
  readonly #directory: Directory
  readonly #options: DispatcherOptions
  readonly #desks = new Map<Peer, Desk>()
  /** Callers that are gone, while somebody works for them: only so can late answers be told from forged ones. */
  readonly #ghosts = new Map<Peer, Desk>()
  /** The tasks that the last ready incarnation of a seat served, for the time until the next one is ready. */
  readonly #known = new Map<Place, ReadonlySet<string>>()
  readonly #servers = new Map<string, Peer[]>()
  readonly #queues = new Map<string, TaskQueue>()
  readonly #names = new Map<string, string>()
  #queuedBytes = 0
  #queued = 0
  #arrivals = 0
  #turn = 0
  readonly #waiting: (() => void)[] = []

  constructor(directory: Directory, options: DispatcherOptions) {
    this.#directory = directory
    this.#options = options
  }

  enter(peer: Peer): void {
    this.#desks.set(peer, { calls: new Map(), serving: new Set(), handlers: new Map() })
  }

  /** A member serves a task from now on, or with another concurrency. */
  handle(peer: Peer, task: string, concurrency: number): void {
    const { handlers } = this.#desk(peer)
    const handler = handlers.get(task)
    if (handler) handler.concurrency = concurrency
    else handlers.set(task, { concurrency, running: 0 })
    if (!peer.ready) return
    this.#known.set(peer.place, new Set(handlers.keys()))
    this.#serve(peer, task)
    this.#pump(peer, task)
  }

  unhandle(peer: Peer, task: string): void {
    const { handlers } = this.#desk(peer)
    handlers.delete(task)
    if (!peer.ready) return
    this.#known.set(peer.place, new Set(handlers.keys()))
    this.#unserve(peer, task)
    this.settle()
  }

  /** The member is ready: its handlers take their share. What was held for it is given to `resume` by the hub. */
  opened(peer: Peer): void {
    const { handlers } = this.#desk(peer)
    this.#known.set(peer.place, new Set(handlers.keys()))
    for (const task of handlers.keys()) this.#serve(peer, task)
  }

  /** To be called when the hold of a place has been released into its new incarnation. */
  pumpAll(peer: Peer): void {
    for (const task of this.#desk(peer).handlers.keys()) this.#pump(peer, task)
    this.settle()
  }

  /** The member takes no more tasks; those that it has go on. */
  closed(peer: Peer): void {
    for (const task of this.#desk(peer).handlers.keys()) this.#unserve(peer, task)
  }

  /** The member's process is gone: what it worked on is sent again where that was allowed, or answered. */
  leave(peer: Peer): void {
    const desk = this.#desk(peer)
    for (const task of desk.handlers.keys()) this.#unserve(peer, task)
    for (const call of [...desk.calls.values()]) this.#abandon(desk, call)
    this.#desks.delete(peer)
    if (desk.calls.size === 0) this.#directory.forget(peer)
    else this.#ghosts.set(peer, desk)
    for (const call of desk.serving) this.#serverLeft(call, peer)
  }

  forgetPlace(place: Place): void {
    this.#known.delete(place)
  }

  request(from: Peer, text: string, at: number, length: number, attachment: Uint8Array | undefined): readonly Outlet[] {
    const desk = this.#desk(from)
    const id = readCall(text, at)
    if (desk.calls.has(id)) {
      from.protocolErrors++
      return NOWHERE
    }
    const task = this.#nameOf(requestName(text, at))
    const address = readAddress(text, at)
    const audience = address === Address.Anybody ? undefined : this.#directory.entry(address)
    const call = new Call(from, id, task, audience instanceof Peer ? undefined : audience, readRetries(text, at))
    desk.calls.set(id, call)
    if (audience instanceof Peer || (audience === undefined && address !== Address.Anybody)) {
      return this.#refuse(call, 'ERR_HUB_NO_MEMBER', say.noMember(call))
    }
    if (call.retries > 0) call.keep(flatten(text.substring(at, at + length)), attachment)
    return this.#dispatch(call, text, at, length, attachment)
  }

  /** A request that was held for a seat meets the incarnation that is ready now. */
  resume(
    caller: Peer,
    text: string,
    at: number,
    length: number,
    attachment: Uint8Array | undefined,
  ): readonly Outlet[] {
    const call = this.#desks.get(caller)?.calls.get(readCall(text, at))
    // Cancelled meanwhile, or its caller is gone.
    if (!call || call.server || call.queued) return NOWHERE
    return this.#dispatch(call, text, at, length, attachment)
  }

  answer(from: Peer, text: string, at: number): readonly Outlet[] {
    const caller = this.#directory.entry(readAddress(text, at))
    const desk = caller instanceof Peer ? (this.#desks.get(caller) ?? this.#ghosts.get(caller)) : undefined
    const call = desk?.calls.get(readCall(text, at))
    if (!(caller instanceof Peer) || !desk || !call || call.server !== from) {
      from.protocolErrors++
      return NOWHERE
    }
    desk.calls.delete(call.id)
    if (caller.gone && desk.calls.size === 0) {
      this.#ghosts.delete(caller)
      this.#directory.forget(caller)
    }
    this.#release(call, from)
    // The handler has room again. What is pumped goes to `from` itself, so it cannot overtake what `from` sends.
    this.#pump(from, call.task)
    return call.cancelled ? NOWHERE : caller.only
  }

  cancel(from: Peer, text: string, at: number): readonly Outlet[] {
    const desk = this.#desk(from)
    const call = desk.calls.get(readCall(text, at))
    // The answer and the cancellation may cross: nothing is wrong then.
    if (!call || call.cancelled) return NOWHERE
    if (call.server) {
      call.cancelled = true
      return call.server.only
    }
    this.#withdraw(call)
    desk.calls.delete(call.id)
    return NOWHERE
  }

  /** Answers what waits for servers that will not come. To be called when seats have stopped, given up or become ready. */
  settle(): void {
    for (const [task, queue] of this.#queues) {
      for (const audience of queue.audiences) {
        if (this.#mayBeServed(task, audience)) continue
        for (let call = queue.take([audience]); call; call = queue.take([audience])) {
          this.#unqueue(call)
          this.#refuseUnserved(call)
        }
      }
      if (queue.length === 0) this.#queues.delete(task)
    }
  }

  /** What was held for a seat that will not come back. */
  refuseHeld(caller: Peer, text: string, at: number): void {
    const call = this.#desks.get(caller)?.calls.get(readCall(text, at))
    if (call && !call.server && !call.queued) this.#refuseUnserved(call)
  }

  outstanding(peer: Peer): number {
    return this.#desks.get(peer)?.serving.size ?? 0
  }

  /** Tasks that wait for a handler of this member with room. */
  queuedFor(place: Place): number {
    let queued = 0
    for (const queue of this.#queues.values()) queued += queue.count(place)
    return queued
  }

  /** Resolves when no task waits for a handler with room. */
  async idle(): Promise<void> {
    while (this.#queued > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #desk(peer: Peer): Desk {
    const desk = this.#desks.get(peer)
    if (!desk) throw new Error(`Member "${peer.place.id}" has no desk`)
    return desk
  }

  /** The same name in memory of its own: a slice would keep its batch alive for as long as the call is on its way. */
  #nameOf(slice: string): string {
    let name = this.#names.get(slice)
    if (name === undefined) {
      if (this.#names.size >= MAX_NAMES) this.#names.clear()
      name = flatten(slice)
      this.#names.set(name, name)
    }
    return name
  }

  #dispatch(
    call: Call,
    text: string,
    at: number,
    length: number,
    attachment: Uint8Array | undefined,
  ): readonly Outlet[] {
    const { audience } = call
    if (audience instanceof Place && !audience.ready) {
      if (!audience.holds) return this.#refuse(call, 'ERR_HUB_MEMBER_EXITED', say.memberExited(call, audience))
      if (this.#known.get(audience)?.has(call.task) === false) {
        return this.#refuse(call, 'ERR_HUB_NO_HANDLER', say.noHandler(call))
      }
      if (audience.hold.full) return this.#refuse(call, 'ERR_HUB_OVERLOADED', say.overloaded(call, 'its queue is full'))
      return audience.only
    }
    const server = this.#choose(call)
    if (server) {
      if (server.full) return this.#refuse(call, 'ERR_HUB_OVERLOADED', say.overloaded(call, 'its link is full'))
      this.#assign(call, server)
      return server.only
    }
    if (!this.#mayBeServed(call.task, audience)) return this.#refuseUnserved(call)
    if (this.#queued >= this.#options.maxQueuedTasks || this.#queuedBytes > this.#options.maxQueueBytes) {
      return this.#refuse(call, 'ERR_HUB_OVERLOADED', say.overloaded(call, `${this.#queued} tasks wait already`))
    }
    call.keep(flatten(text.substring(at, at + length)), attachment)
    this.#enqueue(call)
    return NOWHERE
  }

  /** The member with room that has least outstanding; where several are equal, each in its turn. */
  #choose(call: Call): Peer | undefined {
    const { audience, task } = call
    if (audience instanceof Place) {
      const peer = audience.peer as Peer
      const handler = this.#desk(peer).handlers.get(task)
      return handler && handler.running < handler.concurrency ? peer : undefined
    }
    const servers = this.#servers.get(task)
    if (!servers) return undefined
    let best: Peer | undefined
    let least = Number.POSITIVE_INFINITY
    this.#turn++
    for (let i = 0; i < servers.length; i++) {
      const peer = servers[(this.#turn + i) % servers.length] as Peer
      if (audience instanceof Role && !audience.places.has(peer.place)) continue
      const desk = this.#desk(peer)
      const handler = desk.handlers.get(task) as Handler
      if (handler.running < handler.concurrency && desk.serving.size < least) {
        best = peer
        least = desk.serving.size
      }
    }
    return best
  }

  #assign(call: Call, server: Peer): void {
    const desk = this.#desk(server)
    const handler = desk.handlers.get(call.task) as Handler
    handler.running++
    desk.serving.add(call)
    call.server = server
    call.handler = handler
    if (call.retries === 0) {
      call.frame = ''
      call.attachment = undefined
    }
  }

  #release(call: Call, server: Peer): void {
    this.#desks.get(server)?.serving.delete(call)
    if (call.handler) call.handler.running--
    call.server = undefined
    call.handler = undefined
  }

  /** Gives waiting calls to a member while its handler has room. */
  #pump(peer: Peer, task: string): void {
    const queue = this.#queues.get(task)
    if (!queue || !peer.ready) return
    const handler = this.#desk(peer).handlers.get(task)
    if (!handler) return
    const { place } = peer
    const audiences: Audience[] = [place, undefined]
    if (place.role !== undefined) audiences.push(this.#directory.role(place.role))
    while (handler.running < handler.concurrency) {
      const call = queue.take(audiences)
      if (!call) break
      this.#unqueue(call)
      const { frame, attachment } = call
      this.#assign(call, peer)
      peer.deliver(call.caller, frame, attachment ? [attachment] : NO_ATTACHMENTS)
    }
    if (queue.length === 0) this.#queues.delete(task)
  }

  #enqueue(call: Call): void {
    let queue = this.#queues.get(call.task)
    if (!queue) {
      queue = new TaskQueue()
      this.#queues.set(call.task, queue)
    }
    call.order = this.#arrivals++
    queue.push(call)
    this.#queued++
    this.#queuedBytes += call.bytes
  }

  #unqueue(call: Call): void {
    this.#queued--
    this.#queuedBytes -= call.bytes
    if (this.#queued > 0) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #withdraw(call: Call): void {
    if (!call.queued) return
    this.#queues.get(call.task)?.withdraw(call)
    this.#unqueue(call)
    call.frame = ''
    call.attachment = undefined
  }

  /** The caller is gone. */
  #abandon(desk: Desk, call: Call): void {
    if (call.server && !call.server.gone) {
      if (!call.cancelled) {
        call.cancelled = true
        call.server.deliver(call.caller, callFrame(Kind.Cancel, call.caller.address, call.id, ''), NO_ATTACHMENTS)
      }
      return
    }
    this.#withdraw(call)
    desk.calls.delete(call.id)
  }

  #serverLeft(call: Call, server: Peer): void {
    call.server = undefined
    call.handler = undefined
    if (call.cancelled || call.caller.gone) {
      this.#forgetCall(call)
      return
    }
    if (call.retries === 0) {
      this.#refuse(call, 'ERR_HUB_MEMBER_EXITED', say.memberExited(call, server.place))
      return
    }
    call.retries--
    const { frame, attachment } = call
    const attached = attachment ? [attachment] : NO_ATTACHMENTS
    for (const outlet of this.#dispatch(call, frame, 0, frame.length, attachment)) {
      outlet.deliver(call.caller, frame, attached)
    }
  }

  #forgetCall(call: Call): void {
    const desk = this.#desks.get(call.caller) ?? this.#ghosts.get(call.caller)
    desk?.calls.delete(call.id)
    if (call.caller.gone && desk?.calls.size === 0) {
      this.#ghosts.delete(call.caller)
      this.#directory.forget(call.caller)
    }
  }

  /** Whether somebody serves the task, or may when it is ready. */
  #mayBeServed(task: string, audience: Audience): boolean {
    const places =
      audience instanceof Place ? [audience] : audience instanceof Role ? audience.places : this.#directory.places
    for (const place of places) {
      if (place.ready ? this.#desk(place.peer as Peer).handlers.has(task) : place.holds) {
        if (place.ready || this.#known.get(place)?.has(task) !== false) return true
      }
    }
    return false
  }

  #refuseUnserved(call: Call): readonly Outlet[] {
    const { audience } = call
    if (audience instanceof Place && !audience.ready && !audience.holds) {
      return this.#refuse(call, 'ERR_HUB_MEMBER_EXITED', say.memberExited(call, audience))
    }
    return this.#refuse(call, 'ERR_HUB_NO_HANDLER', say.noHandler(call))
  }

  #refuse(call: Call, code: HubErrorCode, message: string): readonly Outlet[] {
    this.#forgetCall(call)
    const { caller } = call
    caller.tell(callFrame(Kind.Refusal, caller.address, call.id, JSON.stringify({ code, message })))
    return NOWHERE
  }

  #serve(peer: Peer, task: string): void {
    const servers = this.#servers.get(task)
    if (!servers) this.#servers.set(task, [peer])
    else if (!servers.includes(peer)) servers.push(peer)
  }

  #unserve(peer: Peer, task: string): void {
    const servers = this.#servers.get(task)?.filter((server) => server !== peer)
    if (servers === undefined) return
    if (servers.length === 0) this.#servers.delete(task)
    else this.#servers.set(task, servers)
  }
}
