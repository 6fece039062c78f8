/** Socket.IO over several workers: Hubwire's adapter against the official ones. */
import { runContestant } from '../alternate.js'
import {
  COSTS,
  type Comparison,
  type Contestant,
  type Figure,
  load,
  type Mode,
  OWN_MEMORY,
  type Part,
  rate,
  type Target,
} from '../comparison.js'
import { type SocketIoJob, type SocketIoWorkload, tellEvery } from '../socketio-workloads.js'

const ADAPTERS: Contestant[] = [
  { name: 'cluster', from: 'quick' },
  { name: 'redis', needs: 'redis' },
  { name: 'redis-streams', needs: 'redis', from: 'full' },
  { name: 'hubwire', from: 'quick' },
]

function socketIo(
  id: string,
  title: string,
  how: string,
  workload: SocketIoWorkload,
  figures: Figure[],
  from: Mode,
  contestants = ADAPTERS,
): Comparison {
  // What a run does before anything is known of this machine.
  const first = workload.kind === 'broadcast' ? Math.ceil(50_000 / workload.clients) : 5000
  return {
    id,
    title,
    how,
    from,
    contestants,
    paced: workload.rate !== undefined,
    against: 'cluster',
    figures,
    run(name, known = first) {
      const every = tellEvery(workload)
      const perMessage = workload.kind === 'broadcast' ? workload.clients : 1
      const wanted = workload.rate ? workload.rate / perMessage : known
      // The clients tell of so many deliveries at a time: the last ones must be told of.
      const count = workload.kind === 'broadcast' ? Math.ceil(wanted) : Math.ceil(wanted / every) * every
      const job: SocketIoJob = { ...workload, count }
      return runContestant(new URL(`../socketio-contestants/${name}.js`, import.meta.url), [JSON.stringify(job)])
    },
  }
}

const CLIENTS_HOW =
  'The clients are raw WebSockets in a process of their own, which count what comes. The senders let a bounded number of ' +
  'deliveries be on their way. CPU is for each message sent.'

function rooms(workers: number, from: Mode): Comparison {
  return socketIo(
    `socketio-rooms-${workers}`,
    `Socket.IO messages to a room on one worker, ${workers} workers`,
    `One worker emits to a room whose only client is on another worker. ${CLIENTS_HOW}`,
    { kind: 'room', workers, clients: 1 },
    [rate('messages'), ...COSTS],
    from,
  )
}

function broadcast(clients: number, from: Mode): Comparison {
  return socketIo(
    `socketio-broadcast-${clients}`,
    `Socket.IO broadcast to ${clients.toLocaleString('en')} clients, 2 workers`,
    `One worker emits to all. ${CLIENTS_HOW}`,
    { kind: 'broadcast', workers: 2, clients },
    [rate('deliveries', clients), ...COSTS],
    from,
  )
}

const MESSAGES = rate('messages')
const DELIVERIES = rate('deliveries')

const targets: Target[] = [
  { comparison: 'socketio-rooms-8', figure: MESSAGES, against: 'cluster', ratio: 4.4 },
  { comparison: 'socketio-broadcast-2000', figure: DELIVERIES, against: 'cluster', ratio: 1.1 },
  { comparison: 'socketio-broadcast-2000', figure: DELIVERIES, against: 'redis', ratio: 1.1 },
]

export const socketIoPart: Part = {
  name: 'socketio',
  title: 'Socket.IO',
  comparisons: [
    rooms(2, 'full'),
    rooms(4, 'full'),
    rooms(8, 'quick'),
    broadcast(2000, 'default'),
    broadcast(10_000, 'full'),
  ],
  targets,
}

/** What one worker does with as many clients and deliveries as the literature gives to one. */
export const oneWorkerWithSockets: Comparison = socketIo(
  'one-worker-sockets',
  '2,000 sockets on one worker, 10,000 deliveries a second',
  'One worker, and 2,000 clients, to all of which it emits 5 times a second. Load is CPU time as a share of one core.',
  { kind: 'broadcast', workers: 1, clients: 2000, rate: 10_000 },
  [load('workers'), load('primary'), rate('deliveries', 2000), OWN_MEMORY],
  'default',
  [{ name: 'cluster' }, { name: 'hubwire' }],
)
