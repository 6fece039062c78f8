import type { HubErrorCode } from '../errors.js'
import type { Directory } from '../relay/directory.js'
import { NOWHERE, type Outlet, Peer } from '../relay/peer.js'
import { Place } from '../relay/place.js'
import type { TaskRelay } from '../relay/switchboard.js'
import type { TaskStats } from '../types.js'
import { flatten, NO_ATTACHMENTS } from '../wire/batch.js'
import { Address, callFrame, Kind, readAddress, readCall, readRetries, requestName } from '../wire/frame.js'
import { type Audience, Call, type Handler } from './call.js'
import { Desks } from './desks.js'
import * as say from './refusals.js'
import { Servers } from './servers.js'
import { WaitingCalls, type WaitingOptions } from './waiting.js'

/** More task names than this, and an application makes them up as it goes: they are collected anew. */
const MAX_NAMES = 1024

export interface DispatcherOptions extends WaitingOptions {
  /** Tasks that one handler may work on at once, whatever its concurrency. */
  maxPendingCalls: number
}

/**
 * Hands tasks to members: finds a server, keeps each handler within its concurrency, lets the rest wait in order, and
 * sees to it that every call is answered exactly once, whatever becomes of the members.
 *
 * While calls wait that a member could do, that member has no room. So a call that finds room overtakes nobody.
 */
export class Dispatcher implements TaskRelay {
  readonly #directory: Directory
  readonly #options: DispatcherOptions
  readonly #desks: Desks
  readonly #servers: Servers
  readonly #waiting: WaitingCalls
  readonly #names = new Map<string, string>()
  /** Bytes of inputs that are kept until it is certain that they need not be sent again. */
  #forRetries = 0
  #arrivals = 0

  /** Tasks refused because the queue of those that wait, or the bytes kept for retries, were at their bound. */
  #refused = 0

  /** `onFull`: tasks are refused from now on, with so many bytes that wait. */
  constructor(directory: Directory, options: DispatcherOptions, onFull: (bytes: number) => void = () => {}) {
    this.#directory = directory
    this.#options = options
    this.#desks = new Desks(directory)
    this.#servers = new Servers(directory, this.#desks)
    this.#waiting = new WaitingCalls(options, onFull)
  }

  enter(peer: Peer): void {
    this.#desks.open(peer)
  }

  /** A member serves a task from now on, or with another concurrency. */
  handle(peer: Peer, task: string, concurrency: number): void {
    this.#servers.add(peer, task, Math.min(concurrency, this.#options.maxPendingCalls))
    this.#pump(peer, task)
  }

  unhandle(peer: Peer, task: string): void {
    this.#servers.remove(peer, task)
    if (peer.ready) this.settle()
  }

  /**
   * The member is ready: its handlers take their share of what waits. To be called before what was held for its seat is
   * given to `resume`, because that was sent later.
   */
  opened(peer: Peer): void {
    this.#servers.open(peer)
    for (const task of this.#servers.tasksOf(peer)) this.#pump(peer, task)
    this.settle()
  }

  /** The member takes no more tasks; those that it has go on. */
  closed(peer: Peer): void {
    this.#servers.close(peer)
  }

  /** The member's process is gone: what it worked on is sent again where that was allowed, or answered. */
  leave(peer: Peer): void {
    const desk = this.#desks.of(peer)
    this.#servers.close(peer)
    for (const call of desk.calls.values()) this.#abandon(call)
    this.#desks.close(peer)
    for (const call of this.#desks.servedBy(desk)) this.#serverLeft(call, peer)
  }

  forgetPlace(place: Place): void {
    this.#servers.forget(place)
  }

  request(from: Peer, text: string, at: number, length: number, attachment: Uint8Array | undefined): readonly Outlet[] {
    const desk = this.#desks.of(from)
    const id = readCall(text, at)
    const known = desk.calls.get(id)
    if (known) {
      // Numbers come again after 2^28 calls, and a handler may not have ended that nobody has waited for since.
      if (known.cancelled) from.tell(refusalFrame(from, id, 'ERR_HUB_OVERLOADED', say.numberTaken(known)))
      else from.offend(() => say.numberInUse(known))
      return NOWHERE
    }
    const address = readAddress(text, at)
    const entry = address === Address.Anybody ? undefined : this.#directory.entry(address)
    const audience = entry instanceof Peer ? undefined : entry
    const call = new Call(
      desk,
      id,
      this.#nameOf(requestName(text, at)),
      audience,
      readRetries(text, at),
      this.#arrivals++,
    )
    desk.calls.set(id, call)
    if (audience === undefined && address !== Address.Anybody) {
      return this.#refuse(call, 'ERR_HUB_NO_MEMBER', say.noMember(call))
    }
    if (call.retries > 0) {
      if (this.#forRetries > this.#options.maxQueueBytes) {
        return this.#refuseForRoom(call, `${this.#forRetries} bytes are kept for retries already (maxQueueBytes)`)
      }
      call.keep(flatten(text.substring(at, at + length)), attachment)
      call.forRetry = call.bytes
      this.#forRetries += call.forRetry
    }
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
    const call = this.#held(caller, text, at)
    return call ? this.#dispatch(call, text, at, length, attachment) : NOWHERE
  }

  /** What was held for a seat that will not come back. */
  refuseHeld(caller: Peer, text: string, at: number): void {
    const call = this.#held(caller, text, at)
    if (call) this.#refuseUnserved(call)
  }

  answer(from: Peer, text: string, at: number): readonly Outlet[] {
    const call = this.#desks.find(readAddress(text, at), readCall(text, at))
    if (!call || call.server !== from) {
      from.offend(() => say.notYours(call))
      return NOWHERE
    }
    this.#remove(call)
    this.#servers.release(call)
    // The handler has room again. What is pumped goes to `from`, past its own frames that the switchboard has read but
    // not yet forwarded. It overtakes none that was sent before it: a request that has to wait goes nowhere, and at
    // that the switchboard forwards all that it has read before.
    this.#pump(from, call.task)
    const { caller } = call
    if (call.cancelled) return NOWHERE
    if (!caller.full) return caller.only
    // Answers are never dropped, and so are the one thing that could fill the queue of a caller that does not read.
    caller.place.refused++
    caller.tell(refusalFrame(caller, call.id, 'ERR_HUB_OVERLOADED', say.noRoomForAnswer(call)))
    return NOWHERE
  }

  cancel(from: Peer, text: string, at: number): readonly Outlet[] {
    const whose = readAddress(text, at)
    if (whose !== Address.Hub && whose !== from.address) {
      from.offend(() => say.notYoursToCancel(this.#desks.find(whose, readCall(text, at))))
      return NOWHERE
    }
    const call = this.#desks.of(from).calls.get(readCall(text, at))
    // The answer and the cancellation may cross: nothing is wrong then.
    if (!call || call.cancelled) return NOWHERE
    if (call.server) {
      call.cancelled = true
      return call.server.only
    }
    this.#waiting.withdraw(call)
    this.#remove(call)
    return NOWHERE
  }

  /** Answers what waits for servers that will not come. To be called when seats have stopped, given up or become ready. */
  settle(): void {
    for (const task of this.#waiting.tasks) {
      for (const audience of this.#waiting.audiences(task)) {
        if (this.#servers.mayServe(task, audience)) continue
        const only = [audience]
        for (let call = this.#waiting.take(task, only); call; call = this.#waiting.take(task, only)) {
          this.#refuseUnserved(call)
        }
      }
    }
  }

  outstanding(peer: Peer): number {
    return this.#desks.serving(peer)
  }

  /** Tasks that wait for a handler of this member with room. */
  queuedFor(place: Place): number {
    return this.#waiting.count(place)
  }

  /** Tasks that wait for a handler with room, over all members. */
  get queued(): number {
    return this.#waiting.length
  }

  stats(): TaskStats {
    const { length, bytes } = this.#waiting
    return { queued: length, queuedBytes: bytes, retryBytes: this.#forRetries, refused: this.#refused }
  }

  /** Members with calls that are not over, those that are gone included. */
  get unsettled(): number {
    return this.#desks.unsettled
  }

  /** Resolves when no task waits for a handler with room. */
  idle(): Promise<void> {
    return this.#waiting.idle()
  }

  /** The task's name in memory of its own: a call that waits must not keep the batch alive that brought it. */
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
    const { audience, task } = call
    if (audience instanceof Place && !audience.ready) {
      if (!audience.holds || !this.#servers.mayReturn(audience, task)) return this.#refuseUnserved(call)
      if (audience.hold.full) {
        audience.hold.refused()
        return this.#refuseBy(audience, call, 'what is held for it is full (maxHeldBytes)')
      }
      return audience.only
    }
    const handler = this.#servers.choose(call)
    if (handler) {
      const server = handler.desk.peer
      if (server.full) return this.#refuseBy(server.place, call, 'its link is full (maxQueueBytes)')
      this.#servers.assign(call, handler)
      if (call.retries === 0) call.drop()
      return server.only
    }
    if (!this.#servers.mayServe(task, audience)) return this.#refuseUnserved(call)
    if (this.#waiting.full) {
      return this.#refuseForRoom(call, `${this.#waiting.length} tasks wait already (maxQueuedTasks, maxQueueBytes)`)
    }
    call.keep(flatten(text.substring(at, at + length)), attachment)
    this.#waiting.push(call)
    return NOWHERE
  }

  /** The call behind a held frame, unless it was cancelled meanwhile or its caller is gone. */
  #held(caller: Peer, text: string, at: number): Call | undefined {
    return caller.gone ? undefined : this.#desks.of(caller).calls.get(readCall(text, at))
  }

  /** Gives waiting calls to a member while its handler has room. */
  #pump(peer: Peer, task: string): void {
    if (this.#waiting.length === 0 || !peer.ready || !this.#waiting.has(task)) return
    const { place } = peer
    const audiences: Audience[] = [place, undefined]
    if (place.role !== undefined) audiences.push(this.#directory.role(place.role))
    for (let to = this.#servers.withRoom(peer, task); to; to = this.#servers.withRoom(peer, task)) {
      const call = this.#waiting.take(task, audiences)
      if (!call) break
      this.#hand(call, to)
    }
  }

  /** Sends a kept call to its server. */
  #hand(call: Call, handler: Handler): void {
    const { caller, frame, attachment } = call
    this.#servers.assign(call, handler)
    if (call.retries === 0) call.drop()
    handler.desk.peer.deliver(caller, frame, attachment ? [attachment] : NO_ATTACHMENTS)
  }

  /** The caller is gone. */
  #abandon(call: Call): void {
    const { caller, server } = call
    if (server && !server.gone) {
      if (call.cancelled) return
      call.cancelled = true
      server.deliver(caller, callFrame(Kind.Cancel, caller.address, call.id, ''), NO_ATTACHMENTS)
      return
    }
    this.#waiting.withdraw(call)
    this.#remove(call)
  }

  #serverLeft(call: Call, server: Peer): void {
    call.handler = undefined
    if (call.cancelled || call.caller.gone) {
      this.#remove(call)
      return
    }
    if (call.retries === 0) {
      this.#refuse(call, 'ERR_HUB_MEMBER_EXITED', say.memberExited(call, server.place))
      return
    }
    call.retries--
    // It was accepted long ago: no bound refuses it now. It waits in its old place, before what came after it.
    const next = this.#servers.choose(call)
    if (next) this.#hand(call, next)
    else if (this.#servers.mayServe(call.task, call.audience)) this.#waiting.push(call)
    else this.#refuseUnserved(call)
  }

  /** It is over. */
  #remove(call: Call): void {
    this.#forRetries -= call.forRetry
    call.forRetry = 0
    this.#desks.remove(call)
  }

  #refuseUnserved(call: Call): readonly Outlet[] {
    const { audience } = call
    if (audience instanceof Place && !audience.ready && !audience.holds) {
      return this.#refuse(call, 'ERR_HUB_MEMBER_EXITED', say.memberExited(call, audience))
    }
    return this.#refuse(
      call,
      'ERR_HUB_NO_HANDLER',
      say.noHandler(call, call.audience instanceof Place ? [] : this.#servers.former(call.task)),
    )
  }

  /** The hub itself has no room for it. */
  #refuseForRoom(call: Call, why: string): readonly Outlet[] {
    this.#refused++
    this.#waiting.refused()
    return this.#refuse(call, 'ERR_HUB_OVERLOADED', say.overloaded(call, why))
  }

  /** A queue towards its server has no room for it. */
  #refuseBy(place: Place, call: Call, why: string): readonly Outlet[] {
    place.refused++
    return this.#refuse(call, 'ERR_HUB_OVERLOADED', say.overloaded(call, why))
  }

  #refuse(call: Call, code: HubErrorCode, message: string): readonly Outlet[] {
    this.#remove(call)
    const { caller } = call
    caller.tell(refusalFrame(caller, call.id, code, message))
    return NOWHERE
  }
}

function refusalFrame(caller: Peer, id: number, code: HubErrorCode, message: string): string {
  return callFrame(Kind.Refusal, caller.address, id, JSON.stringify({ code, message }))
}
