/** HTTP requests: Hubwire, without and with Socket.IO on its workers, against plain cluster and `@socket.io/sticky`. */
import { runContestant } from '../alternate.js'
import {
  type Comparison,
  type Contestant,
  latency,
  type Mode,
  more,
  OWN_MEMORY,
  type Part,
  PRIMARY_CPU,
  rate,
  type Target,
  WORKERS_CPU,
} from '../comparison.js'
import { CONNECTIONS, OFFERED, POLLING_CLIENTS, WARM_UP, WORKERS, type Workload } from '../http-workloads.js'

/** Of a run, in seconds: autocannon knows whole ones. */
const SECONDS = 2

const REQUESTS = rate('requests')
const LATENCIES = [latency('p99', 'latency p99', 'ms'), latency('p50', 'latency p50', 'ms')]
const NO_SESSIONS = 'its clients do not stay where their session is'

const ALL: Contestant[] = [
  { name: 'plain', from: 'quick' },
  { name: 'sticky' },
  { name: 'hubwire', from: 'quick' },
  { name: 'attached', from: 'full' },
]
const WITH_SESSIONS: Contestant[] = [{ name: 'plain', cannot: NO_SESSIONS }, { name: 'sticky' }, { name: 'attached' }]

function http(
  workload: Workload,
  title: string,
  from: Mode,
  { contestants = ALL, against = 'plain', figures = [REQUESTS], load = 'autocannon', how = '' } = {},
): Comparison {
  return {
    id: `http-${workload}`,
    title,
    how:
      `${load} for ${SECONDS} s, and for ${WARM_UP} s before it, from a process of its own: ${CONNECTIONS} connections to ${WORKERS} workers. ` +
      `Only answers with a status of 2xx count. \`attached\` is Hubwire with Socket.IO on its workers.${how}`,
    from,
    contestants,
    paced: true,
    against,
    figures: [...figures, ...LATENCIES, PRIMARY_CPU, WORKERS_CPU, OWN_MEMORY],
    run: (name) =>
      runContestant(new URL(`../http-contestants/${name}.js`, import.meta.url), [workload, String(SECONDS)]),
  }
}

// One opens no more connections and reads no less than plain cluster does: 1 is the floor there.
const targets: Target[] = [
  { comparison: 'http-get', figure: REQUESTS, against: 'plain', ratio: 0.95 },
  { comparison: 'http-get', figure: REQUESTS, against: 'sticky', ratio: 8.8 },
  { comparison: 'http-post', figure: REQUESTS, against: 'plain', ratio: 0.95 },
  { comparison: 'http-close', figure: REQUESTS, against: 'plain', ratio: 0.88 },
]

export const httpPart: Part = {
  name: 'http',
  title: 'HTTP',
  comparisons: [
    http('get', 'GET, kept-alive connections', 'quick'),
    http('offered', `GET, ${OFFERED.toLocaleString('en')} a second offered`, 'full', {
      load: `Node's own client asks ${OFFERED.toLocaleString('en')} times a second, whatever became of those before,`,
      figures: [],
      how: ' Each request is timed from the moment at which it was due.',
    }),
    http('post', 'POST of 10 kB, kept-alive connections', 'full'),
    http('close', 'GET, a connection for each', 'full'),
    http('polling', 'GET beside Socket.IO clients that poll', 'full', {
      contestants: WITH_SESSIONS,
      against: 'sticky',
      figures: [REQUESTS, more('round trips of polling clients', 'per second', true)],
      how: ` Beside it ${POLLING_CLIENTS} polling clients each ask and are answered, all the time.`,
    }),
  ],
  targets,
}
