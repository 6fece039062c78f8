/** Questions and answers between two workers. */
import { COSTS, type Comparison, type Figure, latency, type Mode, type Part, rate, type Target } from '../comparison.js'
import type { Workload } from '../workloads.js'
import { carriersFor, runCarrier } from './carriers.js'

const REQUESTS = rate('requests')
const P50 = latency('p50', 'round trip p50')
const P99 = latency('p99', 'round trip p99')

function requests(
  id: string,
  title: string,
  how: string,
  load: Pick<Workload, 'inFlight' | 'rate'>,
  figures: Figure[],
  from: Mode,
  usual: readonly string[],
): Comparison {
  const workload: Workload = { kind: 'requests', payload: '100 B', receivers: 1, ...load }
  return {
    id,
    title,
    how: `${how} The answer is what was sent, an object of 100 B. CPU is for each request.`,
    from,
    contestants: carriersFor(workload, { quick: ['naive', 'hubwire'], default: usual }),
    paced: load.rate !== undefined,
    against: 'naive',
    figures: [...figures, ...COSTS],
    run: runCarrier(workload),
  }
}

function saturated(inFlight: number, from: Mode, usual: readonly string[]): Comparison {
  const how = `One worker has ${inFlight} requests on their way to another at all times. Round trips are those at saturation.`
  const figures = [REQUESTS, P50, P99]
  return requests(`requests-${inFlight}`, `Requests, ${inFlight} in flight`, how, { inFlight }, figures, from, usual)
}

/** Latency is from when a request should have been sent, also where it was sent late: no coordinated omission. */
function offered(rate: number, from: Mode, usual: readonly string[]): Comparison {
  const often = rate.toLocaleString('en')
  const how =
    `One worker asks ${often} times a second, whatever became of those before, and spins in between. Each round trip is ` +
    'counted from the moment at which the request was due.'
  return requests(`requests-at-${rate}`, `Requests, ${often} a second offered`, how, { rate }, [P50, P99], from, usual)
}

const targets: Target[] = [
  { comparison: 'requests-64', figure: REQUESTS, against: 'naive', ratio: 1.8 },
  { comparison: 'requests-512', figure: REQUESTS, against: 'naive', ratio: 2 },
  { comparison: 'requests-64', figure: REQUESTS, against: 'nats', ratio: 4 },
  { comparison: 'requests-1', figure: P50, against: 'naive', ratio: 1 },
  { comparison: 'requests-1', of: 'pipe', figure: P50, against: 'naive', ratio: 0.75 },
]

export const requestsPart: Part = {
  name: 'requests',
  title: 'Requests between workers',
  comparisons: [
    requests(
      'requests-1',
      'Requests, one at a time',
      'One worker asks another, and asks again when it has the answer.',
      { inFlight: 1 },
      [P50, P99],
      'default',
      ['pipe', 'redis', 'nats'],
    ),
    saturated(64, 'quick', ['redis', 'nats']),
    saturated(512, 'default', []),
    offered(1000, 'full', []),
    offered(20_000, 'full', []),
  ],
  targets,
}
