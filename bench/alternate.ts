import { type ChildProcess, fork } from 'node:child_process'
import type { Measurement, Report } from './measurement.js'
import { removeSockets } from './sockets.js'

/** Longer than any run takes on a slow machine that has more to do: whoever is still running then hangs. */
const TOO_LONG = 180_000

/**
 * Runs one job in a freshly forked primary process, so that its CPU time and its compiled code are its own. Whatever
 * happens, that process and its workers are gone afterwards.
 */
export async function runContestant(file: URL, args: readonly string[]): Promise<Measurement> {
  const child = fork(file, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000)
  })
  let workers: number[] = []
  const end = () => {
    for (const pid of [child.pid, ...workers]) if (pid !== undefined) kill(pid)
  }
  process.once('exit', end)
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(stderr ? `${why}: ${lastError(stderr)}` : why))
      let result: Measurement | undefined
      timer = setTimeout(() => fail(`no result after ${TOO_LONG / 1000} s`), TOO_LONG)
      child.on('message', (message: Report) => {
        if ('pids' in message) workers = message.pids
        else result = message.result
      })
      child.once('error', reject)
      child.once('close', (code, signal) => {
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
    if (child.pid !== undefined) removeSockets(child.pid)
  }
}

/** What became of the rounds of all contestants. */
export interface Rounds {
  measured: Map<string, Measurement[]>
  /** Why each of these has no figures. The others went on without it. */
  failed: Map<string, string>
}

/**
 * Has the contestants do the same job in turn, round after round, so that a noisy minute hits them all. The order
 * rotates. Where there are more turns than rounds, the first only warms up the machine. Each round tells how much the
 * next can do in `target` milliseconds. Whoever fails is out.
 */
export async function alternate(
  names: readonly string[],
  { rounds, turns }: { rounds: number; turns: number },
  target: number,
  run: (name: string, known: number | undefined) => Promise<Measurement>,
  progress: (round: number, name: string, outcome: Measurement | Error) => void,
): Promise<Rounds> {
  const counts = new Map<string, number>()
  const measured = new Map<string, Measurement[]>(names.map((name) => [name, []]))
  const failed = new Map<string, string>()
  for (let round = rounds + 1 - turns; round <= rounds; round++) {
    for (let place = 0; place < names.length; place++) {
      const name = names[(place + round) % names.length] as string
      if (failed.has(name)) continue
      try {
        const measurement = await run(name, counts.get(name))
        progress(round, name, measurement)
        counts.set(name, Math.ceil((measurement.count * target) / measurement.elapsed))
        if (round > 0 || rounds === 0) measured.get(name)?.push(measurement)
      } catch (error) {
        progress(round, name, error as Error)
        failed.set(name, (error as Error).message)
        measured.delete(name)
      }
    }
  }
  return { measured, failed }
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

/** The line that says what went wrong, of all that a process printed; stacks have paths, and tell nobody else anything. */
function lastError(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => !/^\s*$|^\s+at |^Node\.js v/.test(line))
  return (lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? '').trim().slice(0, 300)
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
