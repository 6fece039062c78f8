/** Events from one worker to others. */
import { COSTS, type Comparison, type Mode, type Part, PRIMARY_CPU, rate, type Target } from '../comparison.js'
import { deliveries, type PayloadName, type Workload } from '../workloads.js'
import { carriersFor, runCarrier } from './carriers.js'

const MESSAGES = rate('messages')
const DELIVERIES = rate('deliveries')

const HOW =
  'One worker emits as fast as it may, in slices of 1,000 messages or 4 MB with a turn of the event loop between them; ' +
  'whoever tells its senders to slow down is heeded, and servers are waited for after each slice. From the start to the ' +
  'last message received. CPU is for each message.'

/** The slower ones, and the second client of Redis, are part of the full run. */
const USUAL = ['advanced', 'bare', 'redis', 'nats', 'rabbitmq', 'postgres', 'axon']

function oneWay(payload: PayloadName, from: Mode, usual: readonly string[], against = 'naive'): Comparison {
  const workload: Workload = { kind: 'events', payload, receivers: 1 }
  return {
    id: `oneway-${payload.replaceAll(' ', '-')}`,
    title: payload === 'mixed' ? 'One way, 100 B, and one in a hundred 100 kB' : `One way, ${payload}`,
    how: HOW,
    from,
    contestants: carriersFor(workload, { quick: [against, 'hubwire'], default: usual }),
    against,
    figures: [MESSAGES, ...COSTS],
    run: runCarrier(workload),
  }
}

function fanOut(receivers: number, from: Mode, usual: readonly string[]): Comparison {
  const workload: Workload = { kind: 'events', payload: '100 B', receivers }
  return {
    id: `fanout-${receivers}`,
    title: `One event to ${receivers} workers, 100 B`,
    how: `${HOW} Each event counts as ${receivers} deliveries.`,
    from,
    contestants: carriersFor(workload, { quick: ['naive', 'hubwire'], default: usual }),
    against: 'naive',
    figures: [rate('deliveries', deliveries(workload)), ...COSTS],
    run: runCarrier(workload),
  }
}

const targets: Target[] = [
  { comparison: 'oneway-100-B', figure: MESSAGES, against: 'naive', ratio: 8 },
  { comparison: 'oneway-100-B', figure: MESSAGES, against: 'nats', ratio: 2.5 },
  { comparison: 'oneway-100-B', figure: MESSAGES, against: 'redis', ratio: 5 },
  { comparison: 'oneway-100-B', figure: PRIMARY_CPU, against: 'naive', ratio: 1 / 12 },
  { comparison: 'oneway-100-B', figure: MESSAGES, against: 'bare', ratio: 0.75 },
  { comparison: 'oneway-1-kB', figure: MESSAGES, against: 'naive', ratio: 2 },
  { comparison: 'oneway-64-kB-binary', figure: MESSAGES, against: 'advanced', ratio: 1 },
  { comparison: 'fanout-8', figure: DELIVERIES, against: 'naive', ratio: 12 },
  { comparison: 'fanout-8', figure: DELIVERIES, against: 'redis', ratio: 5 },
]

export const relay: Part = {
  name: 'relay',
  title: 'Events between workers',
  comparisons: [
    oneWay('10 B', 'full', []),
    oneWay('100 B', 'quick', USUAL),
    oneWay('1 kB', 'default', []),
    oneWay('100 kB', 'full', []),
    oneWay('64 kB binary', 'default', [], 'advanced'),
    oneWay('1 MB binary', 'full', [], 'advanced'),
    oneWay('mixed', 'full', []),
    fanOut(2, 'full', []),
    fanOut(4, 'full', []),
    fanOut(8, 'default', ['redis', 'nats']),
  ],
  targets,
}
