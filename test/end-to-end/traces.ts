import cluster from 'node:cluster'
import type { EventEmitter } from 'node:events'

/** What a process has of listeners on `process` and `cluster`, and of what keeps it alive. */
export interface Traces {
  process: Record<string, number>
  cluster: Record<string, number>
  resources: string[]
}

/** To be compared with those of another moment of the same process. */
export async function traces(): Promise<Traces> {
  // Outside of timers: one that runs counts as active.
  await new Promise((resolve) => setImmediate(resolve))
  return {
    process: listeners(process),
    cluster: listeners(cluster),
    // What closes is gone some turns later, and immediates with the turn.
    resources: process
      .getActiveResourcesInfo()
      .filter((kind) => kind !== 'Immediate' && kind !== 'CloseReq')
      .sort(),
  }
}

function listeners(emitter: EventEmitter): Record<string, number> {
  const counts = emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)])
  return Object.fromEntries(counts.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)))
}
