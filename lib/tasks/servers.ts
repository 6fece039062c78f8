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
  readonly #byTask = new Map<string, Peer[]>()
  /** The tasks that the last ready incarnation of a seat served, for the time until the next one is ready. */
  readonly #known = new Map<Place, ReadonlySet<string>>()
  #turn = 0

  constructor(directory: Directory, desks: Desks) {
    this.#directory = directory
    this.#desks = desks
  }

  /** A member serves a task from now on, or with another concurrency. */
  add(peer: Peer, task: string, concurrency: number): void {
    const { handlers, serving } = this.#desks.of(peer)
    const served = handlers.get(task)
    if (served) {
      served.concurrency = concurrency
      return
    }
    const handler: Handler = { concurrency, running: 0 }
    // What still runs from when it served the task before takes its place here, too.
    for (const call of serving) {
      if (call.task !== task) continue
      call.handler = handler
      handler.running++
    }
    handlers.set(task, handler)
    if (!peer.ready) return
    this.#remember(peer)
    this.#list(peer, task)
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
    for (const task of this.tasksOf(peer)) this.#list(peer, task)
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

  hasRoom(peer: Peer, task: string): boolean {
    const handler = this.#desks.of(peer).handlers.get(task)
    return handler !== undefined && handler.running < handler.concurrency
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

  /** The member with room that has least outstanding; where several are equal, each in its turn. */
  choose({ audience, task }: Call): Peer | undefined {
    if (audience instanceof Place) {
      return audience.ready && this.hasRoom(audience.peer as Peer, task) ? audience.peer : undefined
    }
    const servers = this.#byTask.get(task)
    if (!servers) return undefined
    let best: Peer | undefined
    let least = Number.POSITIVE_INFINITY
    this.#turn++
    for (let i = 0; i < servers.length; i++) {
      const peer = servers[(this.#turn + i) % servers.length] as Peer
      if (audience instanceof Role && !audience.places.has(peer.place)) continue
      const { handlers, serving } = this.#desks.of(peer)
      const handler = handlers.get(task) as Handler
      const load = peer.full ? serving.size + FULL : serving.size
      if (handler.running < handler.concurrency && load < least) {
        best = peer
        least = load
      }
    }
    return best
  }

  assign(call: Call, server: Peer): void {
    const desk = this.#desks.of(server)
    const handler = desk.handlers.get(call.task) as Handler
    handler.running++
    desk.serving.add(call)
    call.server = server
    call.handler = handler
  }

  /** Its handler has ended. */
  release(call: Call, server: Peer): void {
    this.#desks.of(server).serving.delete(call)
    if (call.handler) call.handler.running--
    call.server = undefined
    call.handler = undefined
  }

  #remember(peer: Peer): void {
    this.#known.set(peer.place, new Set(this.tasksOf(peer)))
  }

  #list(peer: Peer, task: string): void {
    const servers = this.#byTask.get(task)
    if (!servers) this.#byTask.set(task, [peer])
    else if (!servers.includes(peer)) servers.push(peer)
  }

  #unlist(peer: Peer, task: string): void {
    const servers = this.#byTask.get(task)?.filter((server) => server !== peer)
    if (servers === undefined) return
    if (servers.length === 0) this.#byTask.delete(task)
    else this.#byTask.set(task, servers)
  }
}
