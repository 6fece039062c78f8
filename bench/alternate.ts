import { type ChildProcess, fork } from 'node:child_process'
import type { Measurement, Report } from './workloads.js'

/** What to do, in words that the contestants of a bench know, and how many times. */
export interface Task {
  workload: string
  count: number
}

/** Longer than any run takes on a slow machine: whoever is still running then hangs. */
const TOO_LONG = 120_000

/**
 * Runs one job in a freshly forked primary process, so that its CPU time and its compiled code are its own. Whatever
 * happens, that process and its workers are gone afterwards.
 */
export async function runContestant(file: URL, job: Task): Promise<Measurement> {
  const child = fork(file, [job.workload, String(job.count)])
  let workers: number[] = []
  const end = () => {
    for (const pid of [child.pid, ...workers]) if (pid !== undefined) kill(pid)
  }
  process.once('exit', end)
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${file.pathname.split('/').pop()} ${job.workload}: ${why}`))
      let result: Measurement | undefined
      timer = setTimeout(() => fail(`no result after ${TOO_LONG / 1000} s`), TOO_LONG)
      child.on('message', (message: Report) => {
        if ('pids' in message) workers = message.pids
        else result = message.result
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        if (result && code === 0) resolve(result)
        else fail(`ended with ${signal ?? `code ${code}`} ${result ? 'after' : 'before'} its result`)
      })
    })
  } catch (error) {
    end()
    await gone(child)
    throw error
  } finally {
    clearTimeout(timer)
    process.off('exit', end)
  }
}

/**
 * Has the contestants do the same job in turn, round after round, so that a noisy minute hits them all. The order
 * rotates. The first round only warms up the machine; each round tells how much the next can do in `target`
 * milliseconds.
 */
export async function alternate<Name extends string>(
  names: readonly Name[],
  rounds: number,
  target: number,
  run: (name: Name, count: number | undefined) => Promise<{ count: number; measurement: Measurement }>,
  progress: (round: number, name: Name, count: number, measurement: Measurement) => void,
): Promise<Map<Name, { count: number; measurement: Measurement }[]>> {
  const counts = new Map<Name, number>()
  const results = new Map<Name, { count: number; measurement: Measurement }[]>(names.map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length] as Name
      const { count, measurement } = await run(name, counts.get(name))
      progress(round, name, count, measurement)
      counts.set(name, Math.ceil((count * target) / measurement.elapsed))
      if (round > 0) results.get(name)?.push({ count, measurement })
    }
  }
  return results
}

/** The middle value, and the range that it comes from. */
export interface Summary {
  median: number
  min: number
  max: number
}

export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  const upper = sorted[half] ?? Number.NaN
  const lower = sorted.length % 2 === 0 ? (sorted[half - 1] ?? Number.NaN) : upper
  return { median: (lower + upper) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself, as it should.
  }
}

function gone(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) resolve()
    else child.once('exit', () => resolve())
  })
}
