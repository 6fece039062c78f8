import { type Directory, Role } from '../relay/directory.js'
import type { Peer } from '../relay/peer.js'
import { Place } from '../relay/place.js'
import type { Audience, Call, Handler } from './call.js'
import type { Desks } from './desks.js'

/** Added to the load of a member whose link is full: it is chosen only where there is no other. */
const FULL = 2 ** 32

/** Who serves which task, who of them has room, and who may serve it once they are ready. */
export class Servers {
  readonly #directory: Directory
  readonly #desks: Desks
  readonly #byTask = new Map<string, Handler[]>()
  /** The tasks that the last ready incarnation of a seat served, for the time until the next one is ready. */
  readonly #known = new Map<Place, ReadonlySet<string>>()
  #turn = 0

  constructor(directory: Directory, desks: Desks) {
    this.#directory = directory
    this.#desks = desks
  }

  /** A member serves a task from now on, or with another concurrency. */
  add(peer: Peer, task: string, concurrency: number): void {
    const desk = this.#desks.of(peer)
    const { handlers } = desk
    const served = handlers.get(task)
    if (served) {
      served.concurrency = concurrency
      return
    }
    const handler: Handler = { desk, concurrency, running: 0 }
    // What still runs from when it served the task before takes its place here, too.
    for (const call of this.#desks.servedBy(desk)) {
      if (call.task !== task) continue
      call.handler = handler
      handler.running++
    }
    handlers.set(task, handler)
    if (!peer.ready) return
    this.#remember(peer)
    this.#list(handler, task)
  }

  remove(peer: Peer, task: string): void {
    this.#desks.of(peer).handlers.delete(task)
    if (!peer.ready) return
    this.#remember(peer)
    this.#unlist(peer, task)
  }

  /** The member is ready: it takes its share. */
  open(peer: Peer): void {
    this.#remember(peer)
    for (const [task, handler] of this.#desks.of(peer).handlers) this.#list(handler, task)
  }

  /** The member takes no more tasks. */
  close(peer: Peer): void {
    for (const task of this.tasksOf(peer)) this.#unlist(peer, task)
  }

  forget(place: Place): void {
    this.#known.delete(place)
  }

  tasksOf(peer: Peer): Iterable<string> {
    return this.#desks.of(peer).handlers.keys()
  }

  /** The member's handler, if it has room for one more. */
  withRoom(peer: Peer, task: string): Handler | undefined {
    const handler = this.#desks.of(peer).handlers.get(task)
    return handler && handler.running < handler.concurrency ? handler : undefined
  }

  /** Whether the next incarnation of a seat may serve the task: nobody knows it of one that never was ready. */
  mayReturn(place: Place, task: string): boolean {
    return this.#known.get(place)?.has(task) !== false
  }

  /** The seats that served the task when they were ready last, and are down for good. */
  former(task: string): Place[] {
    const places: Place[] = []
    for (const [place, tasks] of this.#known) {
      if (tasks.has(task) && !place.ready && !place.holds) places.push(place)
    }
    return places
  }

  /** Whether somebody serves the task, with room or without, or may when it is ready. */
  mayServe(task: string, audience: Audience): boolean {
    const places =
      audience instanceof Place ? [audience] : audience instanceof Role ? audience.places : this.#directory.places
    for (const place of places) {
      const may = place.ready
        ? this.#desks.of(place.peer as Peer).handlers.has(task)
        : place.holds && this.mayReturn(place, task)
      if (may) return true
    }
    return false
  }

  /** Of the handlers with room the one whose member has least outstanding; where several are equal, each in its turn. */
  choose({ audience, task }: Call): Handler | undefined {
    if (audience instanceof Place) return audience.ready ? this.withRoom(audience.peer as Peer, task) : undefined
    const servers = this.#byTask.get(task)
    if (!servers) return undefined
    let best: Handler | undefined
    let least = Number.POSITIVE_INFINITY
    this.#turn++
    for (let i = 0; i < servers.length; i++) {
      const handler = servers[(this.#turn + i) % servers.length] as Handler
      const { peer, serving } = handler.desk
      if (audience instanceof Role && !audience.places.has(peer.place)) continue
      const load = peer.full ? serving + FULL : serving
      if (handler.running < handler.concurrency && load < least) {
        best = handler
        least = load
      }
    }
    return best
  }

  assign(call: Call, handler: Handler): void {
    handler.running++
    handler.desk.serving++
    call.handler = handler
  }

  /** Its handler has ended. */
  release(call: Call): void {
    const { handler } = call
    if (!handler) return
    handler.running--
    handler.desk.serving--
    call.handler = undefined
  }

  #remember(peer: Peer): void {
    this.#known.set(peer.place, new Set(this.tasksOf(peer)))
  }

  #list(handler: Handler, task: string): void {
    const servers = this.#byTask.get(task)
    if (!servers) this.#byTask.set(task, [handler])
    else if (!servers.includes(handler)) servers.push(handler)
  }

  #unlist(peer: Peer, task: string): void {
    const servers = this.#byTask.get(task)?.filter((handler) => handler.desk.peer !== peer)
    if (servers === undefined) return
    if (servers.length === 0) this.#byTask.delete(task)
    else this.#byTask.set(task, servers)
  }
}
