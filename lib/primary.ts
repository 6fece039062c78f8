import { HubError } from './errors.js'
import { Exchange } from './exchange.js'
import { Fleet } from './fleet.js'
import { HandleChannel } from './http/handle-channel.js'
import { Inlet } from './http/inlet.js'
import { Listener } from './http/listener.js'
import { privateSocketOf, removePrivateSocket } from './http/private-socket.js'
import { isRawHandle, type RawHandle } from './http/raw-handle.js'
import { Router } from './http/router.js'
import { Member } from './member.js'
import { printUnheard } from './notices.js'
import type { PrimaryOptions } from './options.js'
import type { Peer } from './relay/peer.js'
import type { WorkerProcess } from './supervisor/process.js'
import { installSignals, type StopSignal } from './supervisor/signals.js'
import { type SeatView, Supervisor } from './supervisor/supervisor.js'
import { after } from './timers.js'
import type {
  HttpServer,
  HubStats,
  Listening,
  ListenOptions,
  Member as MemberInfo,
  ReloadOptions,
  ServeOptions,
  WorkerSpec,
} from './types.js'
import { type Batch, fromMessage, isHubMessage } from './wire/batch.js'
import { Pipe } from './wire/pipe.js'
import { IpcTransport, LocalTransport, PipeTransport } from './wire/transport.js'

/** The primary as a member, with the exchange and the supervisor behind it. */
export class Primary extends Member {
  readonly #options: PrimaryOptions
  readonly #onEnd: () => void
  readonly #exchange: Exchange
  readonly #supervisor: Supervisor
  readonly #fleet: Fleet
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
      succeeded: (peer, successor) => router.succeeded(peer, successor),
      gone: (peer) => {
        router.gone(peer)
        // A process that was killed could not do it itself.
        removePrivateSocket(privateSocketOf(exchange.sockets, peer.address))
      },
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
    const peerOf = (seat: SeatView) => exchange.directory.place(seat.id)?.peerOf(seat.incarnation)
    this.#supervisor = new Supervisor({
      spawned: (seat, worker) => this.#spawned(seat.id, seat.incarnation, worker),
      changed: (seat) => {
        const seated = exchange.directory.place(seat.id)
        if (!seated) return
        seated.ended = seat.ended
        exchange.update(seated, seat.state, seat.pid, seat.incarnation)
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
      requestStop: (seat, handsOver) => {
        const peer = peerOf(seat)
        if (!peer) return
        const successor = handsOver ? this.#successorOf(peer) : undefined
        if (successor) exchange.handOver(peer, successor, seat.spec.handoverTimeout, seat.spec.gracePeriod)
        else exchange.tell(peer, { t: 'stop' })
      },
      overdue: ({ id, spec }) => {
        const period = `${spec.gracePeriod} ms (gracePeriod)`
        const text = `${JSON.stringify(id)} did not end within ${period} of being asked to. It is killed.`
        process.emitWarning(text, 'Hubwire')
      },
      ping: (seat) => {
        const peer = peerOf(seat)
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
    const isClosing = () => this.#closing !== undefined
    this.#fleet = new Fleet(this.#supervisor, options.supervision, {
      get closing() {
        return isClosing()
      },
      places: () => exchange.directory.places,
      addPlace: (id, role) => exchange.addPlace(id, role),
      sync: (attempt) => this.sync(attempt),
    })
  }

  /** `opens`: it will be ready as soon as whoever awaits this has registered what it listens to. */
  async start(workers: readonly WorkerSpec[], opens: boolean): Promise<void> {
    if (this.#options.signals) {
      this.#uninstallSignals = installSignals({
        onFirst: () => this.#endInOrder(),
        onSecond: (signal) => this.#endNow(signal),
        onHangup: () => this.#reloadBySignal(),
      })
    }
    await this.#fleet.start(workers, () => this.join())
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

  fork(spec: WorkerSpec): Promise<readonly MemberInfo[]> {
    return this.#fleet.fork(spec)
  }

  stop(id: string | number): Promise<void> {
    return this.#fleet.stop(id)
  }

  restart(id: string | number): Promise<void> {
    return this.#fleet.restart(id)
  }

  reload(options?: ReloadOptions): Promise<readonly MemberInfo[]> {
    return this.#fleet.reload(options)
  }

  scale(role: string, count: number): Promise<readonly MemberInfo[]> {
    return this.#fleet.scale(role, count)
  }

  serve(server: HttpServer, options?: ServeOptions): void {
    this.#inlet ??= new Inlet(this)
    this.#inlet.serve(server, options)
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
    const handover = this.#exchange.handoverStats()
    return { ...stats, ...(recovery && { recovery }), ...(handover && { handover }) }
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

  #spawned(id: string, incarnation: number, worker: WorkerProcess): void {
    const place = this.#exchange.directory.place(id)
    if (!place) throw new Error(`Seat "${id}" has no place`)
    const send = worker.send.bind(worker)
    const handles = new HandleChannel(worker.channel, send)
    const receive = (read: () => Batch | undefined, handle?: RawHandle) => {
      this.#exchange.receive(peer, read, handle)
      // Afterwards: a stop that waited for the first sign of life must find a member that has been welcomed.
      this.#supervisor.sawLife(id, incarnation)
    }
    const channel = new IpcTransport(send, handles.send)
    const transport = worker.pipe ? new PipeTransport(new Pipe(worker.pipe, receive), channel) : channel
    const peer = this.#exchange.enter(place, incarnation, transport)
    this.#peers.set(worker, peer)
    worker.onmessage = (message, handle) => {
      if (isHubMessage(message)) receive(() => fromMessage(message), isRawHandle(handle) ? handle : undefined)
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
    if (!this.#supervisor.mayBecomeReady(place.id, incarnation)) return false
    // After what was held has been released: whoever hears of it finds the member open.
    queueMicrotask(() => {
      this.#supervisor.markReady(place.id, incarnation)
      // It may have said both in one breath, and its seat heard only that it left.
      if (peer.left) this.#supervisor.left(place.id, incarnation)
    })
    return true
  }

  /** Who takes over what that member holds: whoever has its seat, or else one of its role that stays. */
  #successorOf(peer: Peer): Peer | undefined {
    const { place } = peer
    if (place.peer !== peer) return place.peer?.ready ? place.peer : undefined
    if (place.role === undefined) return undefined
    const others = [...(this.#exchange.directory.role(place.role)?.places ?? [])].flatMap((other) => other.peer ?? [])
    const stays = (other: Peer) => other.ready && other.place.state === 'ready' && other !== peer
    return this.#router.leastOf(others.filter(stays))
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

  #reloadBySignal(): void {
    this.reload().catch((error: HubError) => {
      if (!this.#closing) process.emitWarning(`SIGHUP: ${error.message}`, 'Hubwire')
    })
  }

  #endNow(signal: StopSignal): void {
    this.#supervisor.killAll()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
}
