/** A deploy while clients are connected: once when they are idle, and once while some get a stream. */
import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Server } from 'socket.io'
import { report } from '../measurement.js'
import { RELOAD } from '../reload-workloads.js'
import type { FromClients, Seen, ToClients } from './clients.js'

/** What it took to exchange all workers, from when each new process was ready to when the old one had no client left. */
export interface Exchanged {
  /** Milliseconds in which clients were between two processes. */
  moving: number
  /** CPU of all old processes, of all new ones, and of the primary meanwhile, in microseconds. */
  old: number
  new: number
  primary: number
}

/** A cluster of Socket.IO servers, as its primary sees it. */
export interface Site {
  port: number
  pids(): number[]
  /**
   * Exchanges all workers, one after the other. `allBack`, called before clients are cut off, resolves when all are
   * connected again.
   */
  reload(allBack: () => Promise<void>): Promise<Exchanged>
  /** To all listeners. */
  emit(n: number): void
}

/** Streams run for so long before and after what is measured, in milliseconds. */
const LEAD = 300

export const ROOM = 'listeners'

/** In a worker. */
export function serveClients(io: Server): void {
  io.on('connection', (socket) => {
    if (socket.handshake.query.listens) socket.join(ROOM)
  })
}

/** Microseconds of CPU that this process has used. */
export function cpuUsed(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** The clients' process. */
class Clients {
  readonly #child: ChildProcess
  #onConnected = () => {}
  #answer: (message: FromClients) => void = () => {}

  constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (message: FromClients) => {
      if (message.t === 'connected') this.#onConnected()
      else this.#answer(message)
    })
  }

  connect(port: number): Promise<void> {
    this.#child.send({ t: 'connect', port, count: RELOAD.clients, listeners: RELOAD.listeners } satisfies ToClients)
    return this.allBack()
  }

  /** Resolves when all are connected, which they are not just now. */
  allBack(): Promise<void> {
    return new Promise((resolve) => {
      this.#onConnected = resolve
    })
  }

  #ask(message: ToClients): Promise<FromClients> {
    return new Promise((resolve) => {
      this.#answer = resolve
      this.#child.send(message)
    })
  }

  async watch(): Promise<void> {
    await this.#ask({ t: 'watch' })
  }

  async seen(): Promise<Seen> {
    return (await this.#ask({ t: 'tell' })) as FromClients & Seen
  }
}

export async function run(site: Site): Promise<void> {
  const child = fork(new URL('./clients.js', import.meta.url), { execArgv: [] })
  process.once('exit', () => child.kill('SIGKILL'))
  const pids = () => (child.pid === undefined ? site.pids() : [child.pid, ...site.pids()])
  await report({ pids: pids() })
  const clients = new Clients(child)
  await clients.connect(site.port)
  const exchange = async () => {
    const begun = performance.now()
    const exchanged = await site.reload(() => clients.allBack())
    await report({ pids: pids() })
    return { ...exchanged, took: performance.now() - begun }
  }
  const idle = await exchange()
  let sent = 0
  const streaming = setInterval(() => site.emit(sent++), 1000 / RELOAD.hertz)
  await sleep(LEAD)
  await clients.watch()
  const from = sent
  await exchange()
  await sleep(LEAD)
  clearInterval(streaming)
  await sleep(LEAD)
  const { disconnected, received, gaps } = await clients.seen()
  const due = (sent - from) * RELOAD.listeners
  const perConnection = (cpu: number) => cpu / 1000 / RELOAD.clients
  const result = {
    elapsed: idle.took,
    count: RELOAD.clients,
    usage: [],
    more: {
      gap: gaps.toSorted((a, b) => a - b)[Math.ceil(gaps.length * 0.99) - 1] ?? Number.NaN,
      moving: idle.moving,
      old: perConnection(idle.old),
      new: perConnection(idle.new),
      primary: perConnection(idle.primary),
      disconnected: (disconnected / RELOAD.clients) * 100,
      lost: Math.max(0, 1 - received / due) * 100,
    },
  }
  await report({ result })
  process.exit(0)
}
