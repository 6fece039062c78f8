/** What processes take of the machine: their CPU time and their memory. Of other processes Linux alone tells it. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'

/** A process, under the name that its figures are summed by. */
export interface Process {
  name: string
  pid: number
}

/** What all processes of one name took together. */
export interface Usage {
  name: string
  /** Microseconds of CPU, user and system, while the stopwatch ran. */
  cpu: number
  /** Bytes resident, at their peak since each process began. */
  memory: number
}

/** Ticks of `/proc` in a second: on Linux a constant of the interface with user space. */
const TICKS = 100

/** Whether the kernel tells what its scheduler counts. */
const HAS_SCHEDSTAT = fs.existsSync('/proc/self/schedstat')

/** Takes the CPU time from `start()` to `stop()`, so that what a process did before, as booting, is not counted. */
export class Meter {
  readonly #processes: Process[]
  #before = new Map<number, number>()

  constructor(processes: readonly Process[]) {
    this.#processes = [...processes]
  }

  start(): void {
    this.#before = new Map(this.#processes.map(({ pid }) => [pid, cpuOf(pid)]))
  }

  stop(): Usage[] {
    const usages = new Map<string, Usage>()
    for (const { name, pid } of this.#processes) {
      const usage = usages.get(name) ?? { name, cpu: 0, memory: 0 }
      usage.cpu += cpuOf(pid) - (this.#before.get(pid) ?? 0)
      usage.memory += peakOf(pid)
      usages.set(name, usage)
    }
    return [...usages.values()]
  }
}

/** The processes of a server on this machine, by what their program is called; none where it runs elsewhere. */
export function serverProcesses(program: string): Process[] {
  try {
    return execFileSync('pgrep', ['-x', program], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line !== '')
      .map((pid) => ({ name: 'server', pid: Number(pid) }))
  } catch {
    return []
  }
}

/** Resident memory right now, in bytes; NaN where it cannot be told. */
export function residentOf(pid: number): number {
  return statusOf(pid, 'VmRSS')
}

function peakOf(pid: number): number {
  return statusOf(pid, 'VmHWM')
}

function cpuOf(pid: number): number {
  if (pid === process.pid) {
    const { user, system } = process.cpuUsage()
    return user + system
  }
  return HAS_SCHEDSTAT ? cpuOfThreads(pid) : cpuInTicks(pid)
}

/** Of all threads that there are, to the nanosecond. A thread that has ended is not in it: those of Node.js stay. */
function cpuOfThreads(pid: number): number {
  const folder = `/proc/${pid}/task`
  let nanoseconds = 0
  try {
    for (const thread of fs.readdirSync(folder)) {
      nanoseconds += Number(fs.readFileSync(`${folder}/${thread}/schedstat`, 'utf8').split(' ')[0])
    }
  } catch {
    return Number.NaN
  }
  return nanoseconds / 1000
}

/** Of the whole process, to the hundredth of a second. */
function cpuInTicks(pid: number): number {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold blanks: the fields are counted from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS
  } catch {
    return Number.NaN
  }
}

function statusOf(pid: number, field: string): number {
  try {
    const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(line?.[1] ?? Number.NaN) * 1024
  } catch {
    return Number.NaN
  }
}
