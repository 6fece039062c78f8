/** Tasks that go to whichever worker is free. */
import { COSTS, type Comparison, latency, type Mode, type Part, rate } from '../comparison.js'
import type { Workload } from '../workloads.js'
import { carriersFor, runCarrier } from './carriers.js'

const TASKS = rate('tasks')

function delegation(receivers: number, from: Mode, usual: readonly string[]): Comparison {
  const workload: Workload = { kind: 'delegated', payload: '100 B', receivers, inFlight: 64 }
  return {
    id: `delegate-${receivers}`,
    title: `Tasks delegated to ${receivers} ${receivers === 1 ? 'worker' : 'workers'}, 64 in flight`,
    how:
      'One worker has 64 tasks on their way at all times; their servers answer with what came, an object of 100 B. ' +
      "piscina's servers are threads of the process that asks; BullMQ's jobs are stored, and the others' are not.",
    from,
    contestants: carriersFor(workload, { quick: ['naive', 'hubwire'], default: usual }),
    against: 'naive',
    figures: [TASKS, latency('p50', 'round trip p50'), latency('p99', 'round trip p99'), ...COSTS],
    run: runCarrier(workload),
  }
}

export const tasks: Part = {
  name: 'tasks',
  title: 'Tasks',
  comparisons: [
    delegation(1, 'full', []),
    delegation(2, 'quick', ['piscina', 'bullmq', 'nats']),
    delegation(4, 'full', []),
  ],
  targets: [],
}
