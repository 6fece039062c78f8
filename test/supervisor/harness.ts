import path from 'node:path'
import { resolveSeats } from '#lib/supervisor/options.js'
import type { WorkerExit, WorkerProcess } from '#lib/supervisor/process.js'
import { type SeatView, Supervisor } from '#lib/supervisor/supervisor.js'
import type { SupervisionOptions, WorkerSpec } from '#lib/types.js'
import { alive, until } from '../conditions.js'

export { alive, failure as rejection, until } from '../conditions.js'

export const fixture = (name: string) => path.resolve('test/supervisor/fixtures', name)

export function seats(specs: WorkerSpec[], defaults: SupervisionOptions = {}, taken = new Set<string>()) {
  const withExec = specs.map((spec) => ({ exec: fixture('worker.mjs'), ...spec }))
  return resolveSeats(withExec, { backoff: { min: 5, max: 20 }, ...defaults }, taken)
}

/** A supervisor whose hooks mimic the hub and keep a diary. */
export class Harness {
  readonly diary: string[] = []
  readonly processes: WorkerProcess[] = []
  readonly exits: { id: string; incarnation: number; exit: WorkerExit }[] = []
  readonly infos: { event: string; seat: SeatView; info: unknown }[] = []
  readonly exhausted: { name: string; ids: string[] }[] = []
  readonly messages: unknown[] = []
  answerPings = true
  onChange: ((seat: SeatView) => void) | undefined
  onExit: ((seat: SeatView) => void) | undefined

  readonly supervisor = new Supervisor({
    spawned: (seat, process) => {
      this.diary.push(`${seat.id} spawned ${seat.incarnation}`)
      this.processes.push(process)
      process.onmessage = (message) => {
        this.messages.push(message)
        this.supervisor.sawLife(seat.id, seat.incarnation)
        if ((message as { ready?: boolean }).ready) this.supervisor.markReady(seat.id, seat.incarnation)
      }
    },
    changed: (seat) => {
      this.diary.push(`${seat.id} ${seat.state}`)
      this.onChange?.(seat)
    },
    exited: (seat, _process, exit) => {
      this.diary.push(`${seat.id} exited ${exit.signal ?? exit.code}`)
      this.exits.push({ id: seat.id, incarnation: seat.incarnation, exit })
      this.onExit?.(seat)
    },
    removed: (seat) => {
      this.diary.push(`${seat.id} removed`)
    },
    requestStop: (seat) => {
      this.order(seat.id, { do: 'stop' })
    },
    overdue: (seat) => {
      this.diary.push(`${seat.id} overdue`)
    },
    ping: (seat) => {
      if (this.answerPings) this.order(seat.id, { do: 'ping' })
    },
    lifecycle: (event, seat, info) => {
      this.diary.push(`${seat.id} ${event}!`)
      this.infos.push({ event, seat, info })
    },
    exhausted: (name, all) => {
      this.exhausted.push({ name, ids: all.map(({ id }) => id) })
    },
  })

  state(id: string) {
    return this.supervisor.seat(id)?.state
  }

  latest(id: string): WorkerProcess {
    const found = this.processes.findLast((process) => process.id === id)
    if (found === undefined) throw new Error(`no process of ${id}`)
    return found
  }

  order(id: string, message: unknown): void {
    this.latest(id).send(message, () => {})
  }

  ready(id: string, incarnation: number): Promise<void> {
    return until(() => {
      const seat = this.supervisor.seat(id)
      return seat?.state === 'ready' && seat.incarnation === incarnation
    }, `${id} ready in incarnation ${incarnation}`)
  }

  /** Leaves no process behind, and checks it. */
  async end(): Promise<void> {
    await this.supervisor.killAll()
    const left = this.processes.filter(({ pid }) => alive(pid))
    if (left.length > 0) throw new Error(`left behind: ${left.map(({ id }) => id).join(', ')}`)
    for (const { id, incarnation } of this.processes) {
      const reports = this.exits.filter((exit) => exit.id === id && exit.incarnation === incarnation)
      if (reports.length !== 1) throw new Error(`${id} ${incarnation}: ${reports.length} exits reported`)
    }
  }
}

/** Runs a test with a harness, and ends it whatever happens. */
export function supervised(run: (harness: Harness) => Promise<void>): () => Promise<void> {
  return async () => {
    const harness = new Harness()
    try {
      await run(harness)
    } finally {
      await harness.end()
    }
  }
}
