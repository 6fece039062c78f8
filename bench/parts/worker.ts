/** What one worker does with the loads that are said to be the limits of one. */
import { type Comparison, load, type Mode, OWN_MEMORY, type Part, rate } from '../comparison.js'
import type { Workload } from '../workloads.js'
import { carriersFor, runCarrier } from './carriers.js'
import { oneWorkerWithSockets } from './socketio.js'

const ONE_LOAD = load('workers', 'load of both workers')

/** So many messages a second from one worker to another. */
function messages(perSecond: number, why: string, from: Mode, others: readonly string[]): Comparison {
  const workload: Workload = { kind: 'events', payload: '100 B', receivers: 1, rate: perSecond }
  const often = perSecond.toLocaleString('en')
  const usual = ['naive', 'hubwire']
  const contestants = carriersFor(workload, { quick: usual, default: others })
  return {
    id: `one-worker-${perSecond}`,
    title: `${often} messages a second, from one worker to another`,
    how: `${why} One worker sends at that rate, 100 B each, another receives. Load is CPU time as a share of one core.`,
    from,
    contestants,
    paced: true,
    against: 'naive',
    figures: [ONE_LOAD, load('primary'), load('server'), rate('messages'), OWN_MEMORY],
    run: runCarrier(workload),
  }
}

export const worker: Part = {
  name: 'worker',
  title: 'What one worker does',
  comparisons: [
    oneWorkerWithSockets,
    messages(10_000, 'About 10,000 messages a second are said to be what one worker does.', 'quick', []),
    messages(40_000, 'About 40,000 operations a second are said to be what a Redis client does.', 'default', ['redis']),
  ],
  targets: [],
}
