import http from 'node:http'
import { NodeWebSocket, NodeXHR, io as open, type Socket } from 'socket.io-client'
import type { Random } from '../fuzz/random.js'
import type { Kind, Pace, Session } from './history.js'
import { Runs } from './runs.js'

/** Every so many-th counter has attachments, or is acknowledged late. */
const BINARY = 3
const LATE_ONES = 4
/** How long an upgrade may be held up, and how long at least a client stays that comes and goes, in milliseconds. */
const HELD = 1500
const STAYS = 3000
/** What the server answers to a probe. */
const PROBE = '3probe'

/** Its upgrades stay where they are for a while, between the server's answer to the probe and the client's last word. */
function heldUp(random: Random): typeof NodeWebSocket {
  return class extends NodeWebSocket {
    override onData(data: unknown): void {
      if (data === PROBE) setTimeout(() => super.onData(data as never), random.below(HELD))
      else super.onData(data as never)
    }
  }
}

function transportsOf(kind: Kind, random: Random): (typeof NodeXHR | typeof NodeWebSocket)[] {
  if (kind === 'upgrading') return [NodeXHR, heldUp(random)]
  return [kind === 'polling' ? NodeXHR : NodeWebSocket]
}

/** Every so many-th client has a connection for each of its requests; those of others stay open, as in a browser. */
const WASTEFUL = 8

/** Counts towards its server, and writes down what it gets. */
export class Client {
  readonly #port: number
  readonly #number: number
  readonly #kind: Kind
  readonly #random: Random
  readonly #pace: Pace
  readonly #agent: http.Agent | undefined
  readonly sessions: Session[] = []
  #socket: Socket | undefined
  #session: Session | undefined
  #streams = new Map<string, Runs>()
  #counting: NodeJS.Timeout | undefined
  #resting = false
  #onSettled = () => {}

  constructor(port: number, number: number, kind: Kind, pace: Pace, random: Random, keepsAlive: boolean) {
    this.#port = port
    this.#number = number
    this.#kind = kind
    this.#pace = pace
    // Of one that is killed, connections break under requests: these the client of Node.js would send again without an end.
    this.#agent = keepsAlive && number % WASTEFUL > 0 ? new http.Agent({ keepAlive: true }) : undefined
    this.#random = random
  }

  get connected(): boolean {
    return this.#socket?.connected ?? false
  }

  /** Whether all that it has sent is acknowledged. */
  get answered(): boolean {
    const { sent, streams, cuts } = this.#session ?? {}
    if (!sent || !streams || !this.connected) return false
    const last = (name: string) => (streams[name] ?? []).reduce((sum, [from, to]) => sum + to - from + 1, 0)
    // What was under way when its connection broke may never be.
    return (cuts?.length ?? 0) > 0 || (last('ack') >= sent.prompt && last('late') >= sent.late)
  }

  /** Resolves when it is connected, and has been answered once. */
  open(): Promise<void> {
    const socket = open(`http://127.0.0.1:${this.#port}`, {
      forceNew: true,
      transports: transportsOf(this.#kind, this.#random),
      // Its type knows none of Node's agents; undefined is none.
      agent: this.#agent as unknown as boolean,
      reconnectionDelay: 20,
      reconnectionDelayMax: 500,
      auth: { client: this.#number },
    })
    this.#socket = socket
    socket.on('connect', () => this.#onConnect(socket))
    socket.on('disconnect', (cause, details) => {
      const { home } = this.#session ?? { home: 0 }
      const reason = details === undefined ? cause : `${cause} (${whatHappened(details)})`
      if (!this.#session?.closed)
        this.#session?.cuts.push({ home, reason, hasOffset: this.#hasOffset, recovered: false })
    })
    socket.on('echo', (n: number, bytes: Uint8Array[] | null) => {
      this.#take('echo', n)
      for (const part of bytes ?? []) this.#compare('echo', n, part, n % 300)
    })
    for (const name of ['tick', 'down']) {
      socket.on(name, (pid: number, n: number, bytes: Uint8Array | null) => {
        this.#take(`${name} ${pid}`, n)
        if (bytes) this.#compare(name, n, bytes, n % 100)
      })
    }
    socket.on('question', (pid: number, n: number, done: (n: number) => void) => {
      this.#take(`question ${pid}`, n)
      done(n)
    })
    return new Promise((resolve) => {
      this.#onSettled = resolve
    })
  }

  /** Counts from now on; not all clients in the same moment. One that comes and goes does that. */
  start(): void {
    this.#resting = false
    setTimeout(() => {
      if (this.#resting) return
      this.#counting ??= setInterval(() => this.#count(), this.#pace.up)
    }, this.#random.below(this.#pace.up))
    if (this.#kind === 'upgrading')
      setTimeout(() => this.#comeAgain(), this.#random.below(Math.max(STAYS, this.#pace.up)))
  }

  rest(): void {
    this.#resting = true
    clearInterval(this.#counting)
    this.#counting = undefined
  }

  close(): void {
    if (this.#session) this.#session.closed = true
    this.#socket?.disconnect()
  }

  /** Whether it has been sent anything that says how far it is, but for answers and questions. */
  get #hasOffset(): boolean {
    return [...this.#streams.keys()].some((name) => /^(echo|tick|down)/.test(name))
  }

  #comeAgain(): void {
    if (this.#resting) return
    clearInterval(this.#counting)
    this.#counting = undefined
    const leave = async () => {
      if (this.#resting) return
      // It stays until it has what it waits for.
      if (!this.answered) {
        setTimeout(leave, 20)
        return
      }
      this.close()
      await this.open()
      if (!this.#resting) this.start()
    }
    leave()
  }

  #onConnect(socket: Socket): void {
    const { id = '', recovered } = socket
    const cut = this.#session?.cuts.at(-1)
    if (recovered && cut) {
      cut.recovered = true
      return
    }
    this.#streams = new Map()
    this.#session = {
      client: this.#number,
      kind: this.#kind,
      id,
      home: 0,
      settledAt: undefined,
      closed: false,
      cuts: [],
      sent: { prompt: 0, late: 0 },
      streams: {},
      wrongs: [],
    }
    this.sessions.push(this.#session)
    this.#count()
  }

  #count(): void {
    const session = this.#session
    const socket = this.#socket
    // What is sent while it is away would be sent by the next session.
    if (!session || !socket?.connected) return
    const { sent } = session
    const n = sent.prompt++
    const bytes = n % BINARY === 0 ? [Buffer.alloc(n % 300, n), Buffer.alloc(n % 300, n)] : null
    socket.emit('up', n, bytes, (answer: number, pid: number) => {
      session.home = pid
      this.#take('ack', answer)
      if (session.settledAt !== undefined) return
      // Its room has been joined.
      session.settledAt = Date.now()
      this.#onSettled()
    })
    if (n % LATE_ONES === 0) socket.emit('late', sent.late++, (answer: number) => this.#take('late', answer))
  }

  #take(name: string, n: number): void {
    const session = this.#session
    if (!session) return
    let runs = this.#streams.get(name)
    if (!runs) {
      runs = new Runs()
      this.#streams.set(name, runs)
      session.streams[name] = runs.list
    }
    runs.add(n)
  }

  #compare(what: string, n: number, bytes: Uint8Array, length: number): void {
    const own = Buffer.from(bytes)
    if (own.length !== length || own.some((byte) => byte !== n % 256)) {
      this.#session?.wrongs.push(`${what} ${n} with other bytes`)
    }
  }
}

/** As the client's transport tells: of polling, how it was answered; of a WebSocket, how it closed. */
function whatHappened(details: Error | { description?: unknown; context?: unknown }): string {
  const { message, description, context } = details as { message?: string; description?: unknown; context?: unknown }
  const { code, reason, responseText } = (context ?? {}) as { code?: number; reason?: string; responseText?: string }
  return [message, description, code, reason, responseText].filter((one) => one !== undefined && one !== '').join(', ')
}
