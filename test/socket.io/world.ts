import { HubError } from 'hubwire'
import { type Namespace, Server } from 'socket.io'
import { Packets } from '#lib/packets.js'
import type { ToHub, ToMember } from '#lib/relay/control.js'
import { Directory } from '#lib/relay/directory.js'
import { Lobby } from '#lib/relay/lobby.js'
import type { Peer } from '#lib/relay/peer.js'
import type { RecoveryLimits } from '#lib/relay/recovery-log.js'
import { hubAdapter } from '#lib/socket.io/adapter.js'
import { adapterClass } from '#lib/socket.io/private.js'
import type { Adapter } from '#lib/socket.io/types.js'
import { hasFlag, RECOVERABLE, readCall } from '#lib/wire/frame.js'
import { OPTIONS } from '../relay/fakes.js'

/** What waits on a link, or the one that waits until it has passed. */
type Item =
  | { frame: string; bytes: Uint8Array | undefined; from: number }
  | { control: ToHub | ToMember }
  | { pass: () => void }

const Base = adapterClass(new Server())

/** The number that tests send as the first argument. */
function numberIn(frame: string): number | undefined {
  const [, digits] = /\["m",(\d+)/.exec(frame) ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** A client's connection. What is sent waits in `pipe` until the client reads it. */
export class Connection {
  readonly pipe: { type: number; data: unknown }[] = []
  readonly conn = {
    readyState: 'open',
    protocol: 4,
    remoteAddress: '',
    request: { headers: {}, connection: {}, _query: {} },
    transport: { writable: true },
    close: () => {
      this.conn.readyState = 'closed'
    },
  }
  readonly request = this.conn.request

  _packet(packet: { type: number; data: unknown }): void {
    if (this.conn.readyState === 'open') this.pipe.push(packet)
  }

  writeToEngine(encoded: string[]): void {
    // A connection that is not open takes nothing.
    if (this.conn.readyState === 'open') this.pipe.push({ type: 2, data: JSON.parse(encoded[0]?.slice(1) ?? '') })
  }

  _remove(): void {}
}

/** A member with a Socket.IO server, whose links to and from the hub are two lists. */
export class Worker {
  readonly peer: Peer
  readonly up: Item[] = []
  readonly down: Item[] = []
  readonly io: Server
  readonly nsp: Namespace
  readonly #packets: Packets
  readonly #world: World

  constructor(world: World, peer: Peer, recovers: boolean) {
    this.#world = world
    this.peer = peer
    peer.deliver = (sender, frame, [bytes]) => {
      const n = readCall(frame, 0) === 0 ? numberIn(frame) : undefined
      if (n !== undefined) world.copies.set(n, (world.copies.get(n) ?? 0) + 1)
      this.down.push({ frame, bytes, from: sender.address })
    }
    this.#packets = new Packets(
      {
        address: peer.address,
        closed: false,
        maxMessageBytes: 1e9,
        hurry: () => {},
        full: false,
        refuse: () => {},
        overloaded: (attempt) => new HubError('ERR_HUB_OVERLOADED', attempt),
        tooMany: (attempt) => new HubError('ERR_HUB_OVERLOADED', attempt),
        settings: { maxPendingCalls: Number.POSITIVE_INFINITY },
        write: (start, rest, attachments) => this.up.push({ frame: start + rest, bytes: attachments?.[0], from: 0 }),
        // What is told is told as JSON, and as it is now.
        tell: (message) => this.up.push({ control: JSON.parse(JSON.stringify(message)) }),
        sync: () => new Promise((resolve) => this.up.push({ pass: resolve })),
      },
      (what, error) => {
        throw new Error(`${what}: ${error.message}`)
      },
    )
    const adapter = hubAdapter(Base, this.#packets) as unknown as (nsp: Namespace) => Adapter
    const recovery = { maxDisconnectionDuration: 1e6, skipMiddlewares: world.skipMiddlewares }
    // The in-memory adapter with a memory would leave a timer behind.
    const base = Base as unknown as typeof adapter
    this.io = new Server(recovers ? { adapter: base, connectionStateRecovery: recovery } : { adapter: base })
    this.io.adapter(adapter)
    this.nsp = this.io.of('/')
  }

  /** The hub takes the first thing that this worker has sent. */
  sendOne(): boolean {
    const item = this.up.shift()
    if (!item) return false
    if ('pass' in item) this.down.push(item)
    else if ('control' in item && item.control.t === 'pong')
      this.#world.lobby.answered(this.peer, item.control.n as number)
    else if ('control' in item) this.#world.lobby.control(this.peer, item.control as never)
    else this.#relay(item.frame, item.bytes)
    return true
  }

  /** The worker takes the first thing that the hub has sent. */
  receiveOne(): boolean {
    const item = this.down.shift()
    if (!item) return false
    if ('pass' in item) {
      item.pass()
    } else if ('control' in item && item.control.t === 'ping') {
      this.up.push({ control: { ...item.control, t: 'pong' } })
    } else if ('control' in item) {
      this.#packets.control(item.control as never)
    } else {
      this.#packets.packet(item.frame, 0, item.frame.length, item.bytes, item.frame.charCodeAt(4), item.from)
      if (readCall(item.frame, 0) === 0) this.#world.passed(numberIn(item.frame))
    }
    return true
  }

  /** Its process is gone. */
  die(): void {
    this.#world.lobby.leave(this.peer)
    for (const item of this.down) {
      if ('frame' in item && readCall(item.frame, 0) === 0) this.#world.passed(numberIn(item.frame))
    }
    this.down.length = 0
    this.up.length = 0
    this.#packets.close()
  }

  #relay(frame: string, bytes: Uint8Array | undefined): void {
    const { lobby, copies } = this.#world
    const n = numberIn(frame)
    if (n !== undefined) copies.set(n, 1)
    if (hasFlag(frame, 0, RECOVERABLE)) lobby.relay(this.peer, frame, 0, frame.length, bytes ? [bytes] : [])
    else for (const peer of lobby.rooms.route(this.peer, frame, 0)) peer.deliver(this.peer, frame, bytes ? [bytes] : [])
    this.#world.passed(n)
  }
}

/** A hub and its members without processes or sockets: each message moves when the test says so. */
export class World {
  readonly lobby: Lobby
  readonly workers: Worker[] = []
  readonly skipMiddlewares: boolean
  /** How many copies of a message are on their way. */
  readonly copies = new Map<number, number>()
  /** When a message had arrived wherever it was to go. */
  readonly done = new Map<number, number>()
  now = 0
  readonly #directory = new Directory({
    ...OPTIONS,
    onPressure: () => {},
    onSlow: () => {},
    onHeld: () => {},
    onOffence: () => {},
  })

  constructor(limits: RecoveryLimits, skipMiddlewares = true) {
    this.skipMiddlewares = skipMiddlewares
    const tell = (peer: Peer, message: ToMember) => this.#tell(peer, message)
    this.lobby = new Lobby({ tell, tellAll: () => {}, slow: () => {} }, limits)
  }

  start(index: number, recovers = true): Worker {
    const id = `w-${index}`
    const place = this.#directory.place(id) ?? this.#directory.addPlace(id, undefined)
    const transport = { send: () => {}, sendHandle: () => {} }
    const worker = new Worker(this, this.#directory.enter(place, place.incarnation + 1, transport), recovers)
    this.workers[index] = worker
    return worker
  }

  /** One copy less is on its way. */
  passed(n: number | undefined): void {
    if (n === undefined) return
    const left = (this.copies.get(n) ?? 0) - 1
    this.copies.set(n, left)
    if (left === 0) this.done.set(n, this.now)
  }

  /** Moves everything that is on its way, and what follows from it. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      quiet++
      for (const worker of this.workers) {
        while (worker.sendOne()) quiet = 0
        while (worker.receiveOne()) quiet = 0
      }
      await turn()
    }
  }

  close(): void {
    this.lobby.close()
  }

  #tell(peer: Peer, message: ToMember): void {
    const worker = this.workers.find((worker) => worker.peer === peer)
    worker?.down.push({ control: JSON.parse(JSON.stringify(message)) })
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
