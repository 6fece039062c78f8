import { HubError, invalid } from './errors.js'
import { Exchange } from './exchange.js'
import { HandleChannel } from './http/handle-channel.js'
import { Inlet } from './http/inlet.js'
import { Listener } from './http/listener.js'
import { isRawHandle } from './http/raw-handle.js'
import { Router } from './http/router.js'
import { Member } from './member.js'
import { printUnheard } from './notices.js'
import type { PrimaryOptions } from './options.js'
import type { Peer } from './relay/peer.js'
import { normaliseId } from './supervisor/ids.js'
import { type ResolvedSeat, resolveSeats } from './supervisor/options.js'
import type { WorkerProcess } from './supervisor/process.js'
import { installSignals, type StopSignal } from './supervisor/signals.js'
import { Supervisor } from './supervisor/supervisor.js'
import { after } from './timers.js'
import type { HttpServer, HubStats, Listening, ListenOptions, Member as MemberInfo, WorkerSpec } from './types.js'
import { fromMessage, isHubMessage } from './wire/batch.js'
import { IpcTransport, LocalTransport } from './wire/transport.js'

/** The primary as a member, with the exchange and the supervisor behind it. */
export class Primary extends Member {
  readonly #options: PrimaryOptions
  readonly #onEnd: () => void
  readonly #exchange: Exchange
  readonly #supervisor: Supervisor
  readonly #peers = new Map<WorkerProcess, Peer>()
  readonly #self: Peer
  readonly #router: Router
  readonly #listeners = new Set<Listener>()
  #inlet: Inlet | undefined
  #uninstallSignals: (() => void) | undefined
  #closing: Promise<void> | undefined
  #clean = true
  /** A signal has asked the process to end. */
  ending = false

  /** `onEnd` is called when it takes no more part, perhaps twice. */
  constructor(options: PrimaryOptions, onEnd: () => void) {
    const router = new Router(
      (peer, message) => exchange.tell(peer, message),
      (bytes) => exchange.slow('connections', bytes),
    )
    const exchange = new Exchange(options, {
      ready: (peer) => this.#mayOpen(peer),
      left: (peer) => this.#supervisor.left(peer.place.id, peer.incarnation),
      told: (event, member, info) => printUnheard(this.lifecycle, event, member, info),
      opened: (peer) => router.opened(peer),
      shut: (peer) => router.shut(peer),
      gone: (peer) => router.gone(peer),
      http: (peer, message) => router.http(peer, message),
      handle: (peer, message, handle, bytes) => router.handle(peer, message, handle, bytes),
    })
    const place = exchange.addPlace('primary', undefined)
    const self = exchange.enter(place, 1, new LocalTransport((batch, handle) => this.receive(batch, handle)))
    super({
      transport: new LocalTransport((batch, handle) => exchange.receive(self, () => batch, handle)),
      validator: options.validator,
      onStop: () => {},
    })
    this.#options = options
    this.#onEnd = onEnd
    this.#exchange = exchange
    this.#router = router
    this.#self = self
    exchange.update(place, 'starting', process.pid)
    this.#supervisor = new Supervisor({
      spawned: (seat, worker) => this.#spawned(seat.id, seat.incarnation, worker),
      changed: (seat) => {
        const seated = exchange.directory.place(seat.id)
        if (!seated) return
        seated.ended = seat.ended
        exchange.update(seated, seat.state, seat.pid)
      },
      exited: (_seat, worker, exit) => {
        const peer = this.#peers.get(worker)
        this.#peers.delete(worker)
        if (peer) exchange.leave(peer, { code: exit.code, signal: exit.signal })
      },
      removed: (seat) => {
        const seated = exchange.directory.place(seat.id)
        if (seated) exchange.removePlace(seated)
      },
      requestStop: (seat) => {
        const peer = exchange.directory.place(seat.id)?.peer
        if (peer) exchange.tell(peer, { t: 'stop' })
      },
      overdue: ({ id, spec }) => {
        const period = `${spec.gracePeriod} ms (gracePeriod)`
        const text = `${JSON.stringify(id)} did not end within ${period} of being asked to. It is killed.`
        process.emitWarning(text, 'Hubwire')
      },
      ping: (seat) => {
        const peer = exchange.directory.place(seat.id)?.peer
        if (peer) exchange.ping(peer)
      },
      lifecycle: (event, seat, info) => {
        const seated = exchange.directory.place(seat.id)
        if (!seated) return
        seated.hung = event === 'hung'
        exchange.lifecycle(event, seated, info)
      },
      exhausted: (name) => this.#exhausted(name),
    })
  }

  /** `opens`: it will be ready as soon as whoever awaits this has registered what it listens to. */
  async start(workers: readonly WorkerSpec[], opens: boolean): Promise<void> {
    if (this.#options.signals) {
      this.#uninstallSignals = installSignals({
        onFirst: () => this.#endInOrder(),
        onSecond: (signal) => this.#endNow(signal),
      })
    }
    const seats = resolveSeats(workers, this.#options.supervision, new Set(['primary']))
    await this.join()
    await this.#add(seats, 'startHub()')
    if (!opens) return
    // Whoever looks at the members now finds nobody who is still starting. What comes meanwhile is held.
    this.#exchange.update(this.#self.place, 'ready', process.pid)
    await this.sync('startHub()')
  }

  /** A start that failed leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.#supervisor.killAll()
    this.#end()
  }

  async fork(spec: WorkerSpec): Promise<readonly MemberInfo[]> {
    if (this.#closing) throw new HubError('ERR_HUB_CLOSED', 'hub.fork(): this hub is closed. Start another.')
    const taken = new Set([...this.#exchange.directory.places].map((place) => place.id))
    const seats = resolveSeats([spec], this.#options.supervision, taken, () => 'fork()')
    await this.#add(seats, 'hub.fork()')
    return seats.flatMap(({ id }) => this.#exchange.directory.place(id)?.snapshot() ?? [])
  }

  async stop(id: string | number): Promise<void> {
    const seat = workerId(id, 'hub.stop()')
    const attempt = `hub.stop(${JSON.stringify(seat)})`
    await this.sync(attempt)
    await this.#supervisor.stop(seat)
    await this.sync(attempt)
  }

  async restart(id: string | number): Promise<void> {
    const seat = workerId(id, 'hub.restart()')
    const attempt = `hub.restart(${JSON.stringify(seat)})`
    await this.sync(attempt)
    await this.#supervisor.restart(seat)
    await this.sync(attempt)
  }

  serve(server: HttpServer): void {
    this.#inlet ??= new Inlet(this)
    this.#inlet.serve(server)
  }

  async listen(options: ListenOptions): Promise<Listening> {
    if (this.#closing || this.closed)
      throw new HubError('ERR_HUB_CLOSED', 'hub.listen(): this hub is closed. Start another.')
    const listener = new Listener(
      options,
      this.#router,
      () => this.#exchange.hasSockets,
      (closed) => this.#listeners.delete(closed),
    )
    const { role } = options
    if (role !== undefined && !this.#exchange.directory.role(role)) {
      const roles = [...this.#exchange.directory.roles].map(({ name }) => JSON.stringify(name))
      const known = roles.length > 0 ? `There are: ${roles.join(', ')}.` : 'No worker has one.'
      process.emitWarning(
        `hub.listen(): nobody has the role ${JSON.stringify(role)}. ${known} Connections wait for hub.fork().`,
        'Hubwire',
      )
    }
    await listener.start()
    this.#listeners.add(listener)
    // It was closed while the port was being opened.
    if (this.#closing) await listener.close()
    return listener
  }

  override stats(): HubStats {
    const recovery = this.#exchange.recoveryStats()
    const stats = {
      ...super.stats(),
      links: this.#exchange.stats(),
      tasks: this.#exchange.taskStats(),
      http: this.#router.stats(),
    }
    return recovery ? { ...stats, recovery } : stats
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.beginClosing()
    // One deadline for all of it: a service manager counts from its signal on.
    const periods = this.#supervisor.seats.map(({ spec }) => spec.gracePeriod)
    const deadline = performance.now() + Math.max(this.#options.gracePeriod, ...periods)
    const left = () => Math.max(0, deadline - performance.now())
    await Promise.all([...this.#listeners].map((listener) => listener.close()))
    this.#router.end()
    // Accepted tasks are answered while everybody is still there; whoever keeps adding some cannot keep the hub open.
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = after(left() / 2, resolve)
    })
    // What was sent before this reaches the hub, and so the workers' links, before the workers are told to stop.
    await Promise.race([this.sync().then(() => this.#exchange.dispatcher.idle()), patience])
    clearTimeout(timer)
    this.#clean = await this.#supervisor.close(left())
    await this.drain(left())
    // The last answers, of workers and of this member itself, still have to arrive here.
    await this.sync()
    this.#end()
  }

  #end(): void {
    this.#uninstallSignals?.()
    this.finish()
    this.#exchange.leave(this.#self, { code: null, signal: null })
    this.#exchange.close()
    this.#onEnd()
  }

  async #add(seats: readonly ResolvedSeat[], attempt: string): Promise<void> {
    // All seats are there before the first process is: what is sent to one that starts later waits for it.
    for (const seat of seats) this.#exchange.addPlace(seat.id, seat.role)
    try {
      await this.#supervisor.add(seats)
    } catch (error) {
      // Why it failed is worth more than that the hub was closed meanwhile.
      await this.sync(attempt).catch(() => {})
      throw error
    }
    // Whoever is told that they are ready finds it so.
    await this.sync(attempt)
  }

  #spawned(id: string, incarnation: number, worker: WorkerProcess): void {
    const place = this.#exchange.directory.place(id)
    if (!place) throw new Error(`Seat "${id}" has no place`)
    const send = worker.send.bind(worker)
    const handles = new HandleChannel(worker.channel, send)
    const peer = this.#exchange.enter(place, incarnation, new IpcTransport(send, handles.send))
    this.#peers.set(worker, peer)
    worker.onmessage = (message, handle) => {
      if (!isHubMessage(message)) return
      this.#exchange.receive(peer, () => fromMessage(message), isRawHandle(handle) ? handle : undefined)
      // Afterwards: a stop that waited for the first sign of life must find a member that has been welcomed.
      this.#supervisor.sawLife(id, incarnation)
    }
  }

  #mayOpen(peer: Peer): boolean {
    const { place, incarnation } = peer
    if (peer === this.#self) {
      queueMicrotask(() => {
        if (!peer.left && place.state !== 'ready') this.#exchange.update(place, 'ready', process.pid)
      })
      return true
    }
    const seat = this.#supervisor.seat(place.id)
    if (seat?.state !== 'starting' || seat.incarnation !== incarnation) return false
    // After what was held has been released: whoever hears of it finds the member open.
    queueMicrotask(() => {
      this.#supervisor.markReady(place.id, incarnation)
      // It may have said both in one breath, and its seat heard only that it left.
      if (peer.left) this.#supervisor.left(place.id, incarnation)
    })
    return true
  }

  /** Nobody serves a role any more. Like an `error` event, it ends the process unless somebody listens. */
  #exhausted(name: string): void {
    setImmediate(() => {
      if (this.lifecycle.listenerCount('give-up') > 0 || this.#closing) return
      console.error(
        `Hubwire: every worker of ${JSON.stringify(name)} failed too often and was given up. The hub ends. ` +
          'To go on without them, listen to "give-up" of hub.lifecycle.',
      )
      this.close().finally(() => process.exit(process.exitCode || 1))
    })
  }

  #endInOrder(): void {
    this.ending = true
    this.close().finally(() => process.exit(process.exitCode ?? (this.#clean ? 0 : 1)))
  }

  #endNow(signal: StopSignal): void {
    this.#supervisor.killAll()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
}

function workerId(id: string | number, where: string): string {
  if (id === 'primary') throw invalid(`${where}: the primary is the hub itself; hub.close() ends it.`)
  return normaliseId(id, where)
}
