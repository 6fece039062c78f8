import { type ChildProcess, fork } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type PrimaryHub, startHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { Random } from '../fuzz/random.js'
import { type Faults, processName } from './contract.js'
import { History, writePhase } from './history.js'
import { Load } from './load.js'
import type { ClientsState, Order } from './workers/clients.js'

export const CLIENTS = 200
/** A worker that is silent for so long is killed. Some of the nemesis's stops are longer. In milliseconds. */
const HUNG_AFTER = 5000

const member = new URL('./workers/member.js', import.meta.url)
const clientsFile = fileURLToPath(new URL('./workers/clients.js', import.meta.url))

/** The hub with its six workers, two hundred clients, and the histories of all of them. */
export class World {
  readonly hub: PrimaryHub<Faults>
  readonly io: Server
  readonly folder: string
  readonly load: Load
  readonly history: History
  readonly port: number
  readonly seed: number
  /** Seats that were made to send what they must not. */
  readonly offenders = new Set<string>()
  readonly #clients: ChildProcess
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  readonly #stopWatching: () => void
  #orders = 0
  /** The processes that there were, living or not. */
  readonly processes: Map<string, ProcessRecord>

  private constructor(parts: {
    hub: PrimaryHub<Faults>
    io: Server
    folder: string
    port: number
    seed: number
    processes: Map<string, ProcessRecord>
    stopWatching: () => void
  }) {
    this.hub = parts.hub
    this.io = parts.io
    this.folder = parts.folder
    this.port = parts.port
    this.seed = parts.seed
    this.processes = parts.processes
    this.#stopWatching = parts.stopWatching
    this.history = new History(this.folder, processName('primary', process.pid))
    this.load = new Load(this.hub, this.io, this.history, new Random(parts.seed))
    this.#clients = fork(clientsFile, [this.folder, String(this.port), String(CLIENTS)], { execArgv: [] })
    this.#clients.on('message', ({ id, answer }: { id: number; answer: unknown }) => {
      this.#waiting.get(id)?.(answer)
      this.#waiting.delete(id)
    })
  }

  static async open(seed: number): Promise<World> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'faults-'))
    writePhase(folder, { round: 0, going: false, seed })
    const processes = new Map<string, ProcessRecord>()
    processes.set(processName('primary', process.pid), { id: 'primary', incarnation: 1 })
    const stopWatching = watch(processes)
    const seat = (id: string) => ({ exec: member, args: [id] })
    const hub = await startHub<Faults>({
      signals: false,
      gracePeriod: 6000,
      hungAfter: Number(process.env.FAULTS_HUNG_AFTER ?? HUNG_AFTER),
      backoff: { min: 10, max: 200 },
      intensity: { restarts: 1_000_000, period: 60_000 },
      // So small that floods and huge messages reach them.
      highWaterMark: 256 << 10,
      maxQueueBytes: 8 << 20,
      maxHeldBytes: 2 << 20,
      maxMessageBytes: 4 << 20,
      workers: [
        ...['web-1', 'web-2', 'web-3', 'web-4'].map((id) => ({ id, role: 'web', ...seat(id) })),
        ...['crunch-1', 'crunch-2'].map((id) => ({ id, role: 'crunch', ...seat(id) })),
      ].map((spec) => ({ ...spec, env: { FAULTS_FOLDER: folder } })),
    })
    // Otherwise each would be printed.
    for (const event of ['restart', 'give-up', 'hung', 'slow'] as const) hub.lifecycle.on(event, () => {})
    const io = attachSocketIo(new Server(), hub)
    const listening = await hub.listen({ port: 0, host: '127.0.0.1', role: 'web', headTimeout: 3000 })
    const { port } = listening.address()
    return new World({ hub, io, folder, port, seed, processes, stopWatching })
  }

  pidOf(id: string): number | undefined {
    return this.hub.members.find((one) => one.id === id)?.pid
  }

  /** Tells the clients' process; resolves with what it answers. */
  clients(order: Order): Promise<unknown> {
    const id = ++this.#orders
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#clients.send({ ...order, id })
    })
  }

  async clientsState(): Promise<ClientsState> {
    return (await this.clients({ t: 'state' })) as ClientsState
  }

  /** Events that the hub has dropped and counted, for each seat. */
  dropped(): Record<string, number> {
    const dropped: Record<string, number> = {}
    for (const { id, droppedEvents } of this.hub.stats().links ?? []) {
      dropped[id] = (dropped[id] ?? 0) + droppedEvents
    }
    return dropped
  }

  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#clients.once('exit', resolve))
    this.#clients.disconnect()
    await gone
    await this.hub.close()
    this.#stopWatching()
  }

  removeHistories(): void {
    fs.rmSync(this.folder, { recursive: true, force: true })
  }
}

/** What became of a process. */
export interface ProcessRecord {
  readonly id: string
  readonly incarnation: number
  exit?: { code: number | null; signal: string | null }
  /** When it was noticed, in milliseconds since the epoch. */
  exitedAt?: number
}

/** Keeps account of the workers that are forked, and how they end. Each fork of a seat is its next incarnation. */
function watch(processes: Map<string, ProcessRecord>): () => void {
  const counts = new Map<string, number>()
  const seatOf = (worker: Worker) => worker.process.spawnargs.at(-1) as string
  const onFork = (worker: Worker) => {
    const id = seatOf(worker)
    const incarnation = (counts.get(id) ?? 0) + 1
    counts.set(id, incarnation)
    processes.set(processName(id, worker.process.pid), { id, incarnation })
  }
  const onExit = (worker: Worker, code: number | null, signal: string | null) => {
    const record = processes.get(processName(seatOf(worker), worker.process.pid))
    if (record) Object.assign(record, { exit: { code, signal }, exitedAt: Date.now() })
  }
  cluster.on('fork', onFork)
  cluster.on('exit', onExit)
  return () => {
    cluster.off('fork', onFork)
    cluster.off('exit', onExit)
  }
}
