import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import * as assert from 'uvu/assert'

const running = new Set<Example>()

/** The example as a user runs it: a process, its output, and an address. */
export class Example {
  readonly process: ChildProcess
  output = ''
  url = ''
  readonly #ended: Promise<number | string>

  constructor(main: string, env: Record<string, string>) {
    this.process = spawn(process.execPath, [main], { env: { ...process.env, ...env } })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        this.output += text
      })
    }
    running.add(this)
    this.#ended = once(this.process, 'exit').then(([code, signal]) => code ?? signal)
  }

  /** Starts it on a port that is free, and waits until it listens. */
  static async start(main: string, env: Record<string, string> = {}): Promise<Example> {
    const example = new Example(main, { PORT: '0', ...env })
    example.url = (await example.matching(/listening on (http:\S+\d)/))[1] ?? ''
    return example
  }

  /** Waits until the output has it so many times; the last of them. */
  async matching(pattern: RegExp, times = 1): Promise<RegExpMatchArray> {
    const global = new RegExp(pattern, `${pattern.flags}g`)
    const patience = Date.now() + 20_000
    let ended = false
    while (true) {
      const found = [...this.output.matchAll(global)][times - 1]
      if (found) return found
      if (ended || Date.now() > patience)
        throw new Error(`${pattern} is not in the output ${times} times:\n${this.output}`)
      ended = this.process.exitCode !== null
      // When it has ended, what it wrote last may still be on its way.
      await sleep(ended ? 100 : 20)
    }
  }

  all(pattern: RegExp): string[] {
    return Array.from(this.output.matchAll(pattern), ([, group]) => group ?? '')
  }

  /** Every process that has written a line. */
  get pids(): number[] {
    return [...new Set(this.all(/ pid (\d+)/g).map(Number))]
  }

  /** Asks it to end; its exit code or signal. */
  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<number | string> {
    this.process.kill(signal)
    return Promise.race([this.#ended, sleep(20_000, 'does not end', { ref: false })])
  }
}

/** Whatever a test left running, because it failed. */
export function endAll(): void {
  for (const example of running) {
    for (const pid of [example.process.pid, ...example.pids])
      if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL')
  }
  running.clear()
}

export async function assertEndsCleanly(example: Example): Promise<void> {
  const { pids } = example
  assert.ok(pids.length >= 3, example.output)
  assert.is(await example.end('SIGINT'), 0, example.output)
  assert.equal(pids.filter(isAlive), [], example.output)
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
