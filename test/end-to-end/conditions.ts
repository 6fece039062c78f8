import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type HubOptions, type PrimaryHub, startHub } from 'hubwire'
import { TRANSPORT, until } from '../conditions.js'

export { alive, failure, until } from '../conditions.js'

/** Runs a test on a hub, and closes it whatever happens. */
export async function withHub(options: HubOptions, run: (hub: PrimaryHub) => Promise<void>): Promise<void> {
  const hub = await startHub({ signals: false, gracePeriod: 3000, ...TRANSPORT, ...options })
  try {
    await run(hub)
  } finally {
    await hub.close()
  }
}

export function pidOf(hub: PrimaryHub, id: string): number {
  const pid = hub.members.find((member) => member.id === id)?.pid
  if (pid === undefined) throw new Error(`no process of ${id}`)
  return pid
}

export function linkOf(hub: PrimaryHub, id: string) {
  const link = hub.stats().links?.find((one) => one.id === id)
  if (!link) throw new Error(`no link of ${id}`)
  return link
}

/** A primary in a process, and a process group, of its own: for tests in which it dies or is sent signals. */
export class PrimaryProcess {
  readonly child: ChildProcess
  readonly messages: Record<string, unknown>[] = []
  readonly ended: Promise<[code: number | null, signal: string | null]>
  stdout = ''
  stderr = ''

  constructor(name: string, env: Record<string, string> = {}) {
    const file = fileURLToPath(new URL(`./primaries/${name}.js`, import.meta.url))
    this.child = spawn(process.execPath, [file], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text
    })
    this.child.on('message', (message) => this.messages.push(message as Record<string, unknown>))
    this.ended = once(this.child, 'close') as Promise<[number | null, string | null]>
  }

  /** A message that has this property, from this one or its workers' reports. */
  async told(property: string): Promise<Record<string, unknown>> {
    const find = () => this.messages.find((message) => property in message)
    await until(() => find() ?? this.child.exitCode !== null, `the primary tells of ${property}`)
    const message = find()
    if (!message) throw new Error(`the primary ended before it told of ${property}: ${this.stderr}`)
    return message
  }

  /** As a terminal does: to the primary and all of its workers. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-(this.child.pid as number), signal)
  }

  /** Leaves no process behind. */
  end(): void {
    try {
      this.signalGroup('SIGKILL')
    } catch {
      // All of it is gone already.
    }
  }
}
