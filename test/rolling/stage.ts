import { type ChildProcess, fork } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { type PrimaryHub, startHub } from 'hubwire'
import { PATIENCE, until } from '../conditions.js'
import { App } from '../reload/app.js'
import type { Crowd, CrowdState, Order } from './clients.js'
import { KINDS, type Kind, type Pace, type Rolling, type Session, type Work } from './history.js'

const workerUrl = new URL('./worker.js', import.meta.url).href
const clientsFile = fileURLToPath(new URL('./clients.js', import.meta.url))

/** How many of everything. */
export interface Cast {
  workers: number
  clients: Record<Kind, number>
  /** Processes that the clients live in. */
  crowds: number
  pace: Pace
  /** Whether connections of clients that poll stay open. */
  keepsAlive: boolean
  seed: number
}

/** A process full of clients. */
class CrowdProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  readonly ready: Promise<unknown>
  #last = 0

  constructor(crowd: Crowd) {
    this.#child = fork(clientsFile, [JSON.stringify(crowd)], { execArgv: [] })
    this.#child.on('message', ({ id, answer }: { id: number; answer: unknown }) => {
      this.#waiting.get(id)?.(answer)
      this.#waiting.delete(id)
    })
    this.ready = new Promise((resolve) => this.#waiting.set(0, resolve))
  }

  tell(order: Order): Promise<unknown> {
    const id = ++this.#last
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#child.send({ id, order })
    })
  }

  async leave(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.tell('leave').catch(() => {})
    await gone
  }
}

/** A hub with its web workers, from a file that can be written anew, and clients of all kinds. */
export class Stage {
  readonly hub: PrimaryHub<Rolling>
  readonly cast: Cast
  readonly #app: App
  readonly #crowds: CrowdProcess[]
  /** Of the processes that have ended in good order. */
  readonly works: Work[] = []
  /** All workers that there ever were. */
  readonly pids = new Set<number>()
  readonly #forget: () => void

  private constructor(hub: PrimaryHub<Rolling>, cast: Cast, app: App, crowds: CrowdProcess[]) {
    this.hub = hub
    this.cast = cast
    this.#app = app
    this.#crowds = crowds
    hub.on('done', (work) => this.works.push(work))
    const onFork = ({ process: { pid } }: Worker) => pid !== undefined && this.pids.add(pid)
    cluster.on('fork', onFork)
    this.#forget = () => cluster.off('fork', onFork)
    for (const { pid } of this.workers) this.pids.add(pid)
  }

  static async open(cast: Cast): Promise<Stage> {
    const { workers, clients, crowds, pace, keepsAlive, seed } = cast
    const app = new App('')
    app.writeAll(GOOD)
    const hub = await startHub<Rolling>({
      workers: [{ role: 'web', count: workers, exec: app.exec, env: { ROLLING_PACE: JSON.stringify(pace) } }],
      signals: false,
      backoff: { min: 1, max: 10 },
      intensity: { restarts: 1000, period: 60_000 },
      timeout: PATIENCE,
      recovery: { maxBytes: 256 << 20, maxPackets: 1_000_000 },
      // A busy machine is not what is looked at.
      readyTimeout: PATIENCE,
      gracePeriod: 10 * PATIENCE,
      handoverTimeout: 5 * PATIENCE,
    })
    hub.lifecycle.on('restart', () => {})
    const { port } = (await hub.listen({ port: 0, host: '127.0.0.1', waitTimeout: PATIENCE })).address()
    // Else all clients would come to the first.
    await until(() => hub.stats().http?.workers.length === workers, 'all serve')
    let next = 0
    const shares = Array.from({ length: crowds }, (_, i): Crowd => {
      const share = (total: number) => Math.floor(total / crowds) + (i < total % crowds ? 1 : 0)
      const numbers = Object.fromEntries(
        KINDS.map((kind) => [kind, Array.from({ length: share(clients[kind]) }, () => next++)]),
      )
      return { port, seed: seed + i, pace, keepsAlive, numbers: numbers as Record<Kind, number[]> }
    })
    const processes = shares.map((share) => new CrowdProcess(share))
    await Promise.all(processes.map(({ ready }) => ready))
    return new Stage(hub, cast, app, processes)
  }

  /** What the workers' file says from now on. */
  deploy(what: 'good' | 'crashing' | 'crashing at web-2'): void {
    this.#app.writeAll({ good: GOOD, crashing: CRASHING, 'crashing at web-2': CRASHING_AT_SECOND }[what])
  }

  get workers(): { id: string; pid: number }[] {
    return this.hub.members.flatMap(({ id, pid }) => (id === this.hub.id || pid === undefined ? [] : [{ id, pid }]))
  }

  async start(): Promise<void> {
    await Promise.all(this.#crowds.map((crowd) => crowd.tell('start')))
  }

  /** Everybody stops, and all that is under way arrives. */
  async rest(): Promise<void> {
    await Promise.all(this.#crowds.map((crowd) => crowd.tell('rest')))
    await until(async () => (await this.#state()).answered === this.#total, 'all clients are answered').catch(() => {
      // The checker says who is not.
    })
  }

  /** What all processes did. Those that live stop: they are only answered any more. */
  async finish(): Promise<Work[]> {
    const living = await Promise.all(this.workers.map(({ id }) => this.hub.to(id).request('finish')))
    return [...this.works, ...living]
  }

  get #total(): number {
    return KINDS.reduce((sum, kind) => sum + this.cast.clients[kind], 0)
  }

  /** Resolves when all clients but those that come and go are connected. */
  async connected(): Promise<void> {
    const least = this.#total - this.cast.clients.upgrading
    await until(async () => (await this.#state()).connected >= least, 'all clients are connected')
  }

  async #state(): Promise<CrowdState> {
    const states = (await Promise.all(this.#crowds.map((crowd) => crowd.tell('state')))) as CrowdState[]
    return states.reduce((sum, { connected, answered }) => ({
      connected: sum.connected + connected,
      answered: sum.answered + answered,
    }))
  }

  async sessions(): Promise<Session[]> {
    return ((await Promise.all(this.#crowds.map((crowd) => crowd.tell('sessions')))) as Session[][]).flat()
  }

  async close(): Promise<void> {
    await Promise.all(this.#crowds.map((crowd) => crowd.leave()))
    await this.hub.close()
    this.#forget()
    this.#app.remove()
  }
}

const GOOD = `import ${JSON.stringify(workerUrl)}\n`
const CRASHING = `throw new Error('on purpose')\n`
const CRASHING_AT_SECOND = `process.env.ROLLING_CRASH = 'web-2'\nawait import(${JSON.stringify(workerUrl)})\n`
