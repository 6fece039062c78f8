/** Who carries messages between workers, and what each of them cannot do. */
import { runContestant } from '../alternate.js'
import type { Broker } from '../brokers.js'
import type { Comparison, Contestant, Mode } from '../comparison.js'
import { bytesOf, isBinary, type Job, type Workload } from '../workloads.js'

/** Of a run at a fixed rate. */
const SECONDS = 1

interface Carrier {
  needs?: Broker
  /** The contestant whose file it shares; it is told its own name. @default its own */
  file?: string
  /** How much it does beside Hubwire, as a guess for its first round alone. */
  pace: number
  kinds: readonly Workload['kind'][]
  /** Why it cannot carry this. */
  cannot?(workload: Workload): string | undefined
}

const TEXT_ONLY = ({ payload }: Workload) =>
  isBinary(payload) ? 'its messages are JSON, which has no binary' : undefined
const NO_TASKS = ['events', 'requests'] as const
const ALL = ['events', 'requests', 'delegated'] as const

const CARRIERS: Record<string, Carrier> = {
  naive: { pace: 0.2, kinds: ALL, cannot: TEXT_ONLY },
  advanced: { pace: 0.15, kinds: ALL },
  bare: { pace: 1, kinds: NO_TASKS, cannot: TEXT_ONLY },
  hubwire: { pace: 1, kinds: ALL },
  pipe: { pace: 1, kinds: ALL, file: 'hubwire' },
  redis: { pace: 0.2, kinds: NO_TASKS, needs: 'redis' },
  'node-redis': { pace: 0.1, kinds: NO_TASKS, needs: 'redis' },
  nats: { pace: 0.3, kinds: ALL, needs: 'nats' },
  rabbitmq: { pace: 0.05, kinds: NO_TASKS, needs: 'rabbitmq' },
  postgres: {
    pace: 0.03,
    kinds: NO_TASKS,
    needs: 'postgres',
    cannot: (workload) =>
      TEXT_ONLY(workload) ??
      (bytesOf(workload.payload) > 7000 || workload.payload === 'mixed'
        ? 'NOTIFY takes at most 8,000 bytes'
        : undefined),
  },
  'node-ipc': { pace: 0.1, kinds: NO_TASKS, cannot: TEXT_ONLY },
  axon: { pace: 0.2, kinds: ALL },
  faye: { pace: 0.02, kinds: NO_TASKS, cannot: TEXT_ONLY },
  piscina: { pace: 0.5, kinds: ['delegated'] },
  bullmq: { pace: 0.02, kinds: ['delegated'], needs: 'redis' },
}

/** The contestants of a workload: those that are always there, and in `--full` all others that can. */
export function carriersFor(workload: Workload, wanted: Partial<Record<Mode, readonly string[]>>): Contestant[] {
  const quick = wanted.quick ?? []
  const usual = [...quick, ...(wanted.default ?? [])]
  return Object.entries(CARRIERS)
    .filter(([, { kinds }]) => kinds.includes(workload.kind))
    .map(([name, { needs, cannot }]) => ({
      name,
      from: quick.includes(name) ? 'quick' : usual.includes(name) ? 'default' : 'full',
      ...(needs && { needs }),
      cannot: cannot?.(workload),
    }))
}

/** What Hubwire does in the first round, before anything is known of this machine. */
function firstCount({ kind, payload, receivers, inFlight = 1 }: Workload): number {
  if (kind !== 'events') return inFlight === 1 ? 2000 : 15_000
  return Math.min(50_000 / Math.sqrt(receivers), 8e7 / bytesOf(payload) / receivers)
}

export function runCarrier(workload: Workload): Comparison['run'] {
  return (name, known) => {
    const first = Math.ceil(firstCount(workload) * (CARRIERS[name]?.pace ?? 1))
    // At a rate, a run takes its time whoever does it.
    const count = workload.rate ? workload.rate * SECONDS : (known ?? Math.max(first, 20))
    const job: Job = { ...workload, count }
    const file = new URL(`../relay-contestants/${CARRIERS[name]?.file ?? name}.js`, import.meta.url)
    return runContestant(file, [JSON.stringify(job), name])
  }
}
