import { type Hub, HubError, type TaskContext } from 'hubwire'

// The tasks that the members of these tests serve, and the calls that they make: the same in the primary and in a worker.

/** A call that a member is asked to make. */
export interface Order {
  verb: 'request' | 'delegate' | 'gather' | 'emit' | 'drained'
  to?: string | string[] | { role: string }
  task?: string
  input?: unknown
  timeout?: number
  retry?: number
}

/** What became of it. */
export interface Outcome {
  value?: unknown
  error?: { name: string; code: string | undefined; message: string; hub: boolean }
}

interface Scope {
  to(target: unknown): Scope
  timeout(ms: number): Scope
  retry(times: number): Scope
  [verb: string]: (...args: never[]) => unknown
}

/** Carries out an order, and reports what became of it as data. */
export async function carryOut(hub: Hub, { verb, to, task, input, timeout, retry }: Order): Promise<Outcome> {
  try {
    if (verb === 'drained') return { value: await hub.drained(to) }
    let scope = hub as unknown as Scope
    if (timeout !== undefined) scope = scope.timeout(timeout)
    if (retry !== undefined) scope = scope.retry(retry)
    if (to !== undefined) scope = scope.to(to)
    const value = await (scope[verb] as (task: string | undefined, input: unknown) => unknown)(task, input)
    return { value: verb === 'gather' ? (value as { id: string }[]).map(plain) : value }
  } catch (error) {
    return { error: describe(error) }
  }
}

function plain(gathered: { id: string; reason?: unknown; value?: unknown }) {
  const { id, reason, value } = gathered
  return reason === undefined ? { id, value } : { id, error: describe(reason) }
}

function describe(error: unknown): NonNullable<Outcome['error']> {
  const { name, code, message } = error as HubError
  return { name, code, message, hub: error instanceof HubError }
}

/** Serves tasks by name; `gate=2` serves `gate` with a concurrency of 2. */
export function serve(hub: Hub, names: readonly string[]): Map<string, () => void> {
  const gates = new Map<unknown, () => void>()
  const opened = new Set<unknown>()
  const unhandle = new Map<string, () => void>()
  const logged: { from: string; n: number; most: number }[] = []
  let working = 0

  const tasks: Record<string, (input: never, context: TaskContext) => unknown> = {
    echo: (input) => input,
    who: async () => hub.id,
    nothing: () => {},
    exit: (code: number) => process.exit(code),
    kill: () => process.kill(process.pid, 'SIGKILL'),
    call: (order: Order) => carryOut(hub, order),
    relay: ({ to, task, input }: { to: string; task: string; input: unknown }) => hub.to(to).request(task, input),
    /** Tells the primary that it has begun, and ends when the gate of that key is opened, whatever its caller does. */
    gate: (key: unknown, { signal, from }) => {
      hub.to('primary').emit('begun', { id: hub.id, key, from: from.id })
      signal.addEventListener('abort', () => hub.to('primary').emit('aborted', { id: hub.id, key }))
      if (opened.has(key)) return `${hub.id}:${key}`
      return new Promise((resolve) => gates.set(key, () => resolve(`${hub.id}:${key}`)))
    },
    /** Ends when the primary permits it: by an answer, which reaches a member that is being stopped, too. */
    permitted: async (key: unknown) => {
      hub.to('primary').emit('begun', { id: hub.id, key })
      await hub.to('primary').request('permit', key)
      return `${hub.id}:${key}`
    },
    /** Ends when its caller no longer waits. */
    hang: (key: unknown, { signal }) => {
      hub.to('primary').emit('begun', { id: hub.id, key })
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          hub.to('primary').emit('aborted', { id: hub.id, key, reason: (signal.reason as HubError).code })
          reject(signal.reason)
        })
      })
    },
    /** Takes a few turns, and tells who came when, and how many there were at a time. */
    log: async (n: number, { from }) => {
      working++
      const most = working
      logged.push({ from: from.id, n, most })
      for (let turn = 0; turn < n % 3; turn++) await new Promise(setImmediate)
      working--
      return n
    },
    say: (count: number) => {
      for (let i = 0; i < count; i++) hub.to('primary').emit('said', i)
    },
    logged: () => logged.splice(0),
    /** Delegates many tasks at once. */
    flood: async ({ task, count }: { task: string; count: number }) => {
      const answers = await Promise.all(Array.from({ length: count }, (_, n) => hub.delegate(task, n)))
      return answers.every((answer, n) => answer === n)
    },
    context: (_, { from, deadline, signal }) => ({ from, deadline, aborted: signal.aborted }),
    'serve more': (more: string[]) => {
      for (const [name, stop] of serveNamed(more)) unhandle.set(name, stop)
    },
    'serve less': (less: string[]) => {
      for (const name of less) unhandle.get(name)?.()
    },
  }

  const serveNamed = (wanted: readonly string[]) =>
    wanted.map((entry): [string, () => void] => {
      const [name = '', concurrency] = entry.split('=')
      return [name, hub.handle(name, tasks[name] as never, concurrency ? { concurrency: Number(concurrency) } : {})]
    })

  hub.on('open', (key: unknown) => {
    opened.add(key)
    gates.get(key)?.()
  })
  for (const [name, stop] of serveNamed(names)) unhandle.set(name, stop)
  return unhandle
}
