/** New connections all the time, and what they do to messages. */
import { runContestant } from '../alternate.js'
import { type Comparison, type Contestant, cpu, latency, more, type Part, rate, type Target } from '../comparison.js'

/** Of a run, beside one second to warm up. */
const SECONDS = 2

const P99 = latency('p99', 'round trip p99')
const CONTESTANTS: Contestant[] = [
  { name: 'calm', from: 'full' },
  { name: 'direct', from: 'quick' },
  { name: 'routed', from: 'quick' },
]

function connections(perSecond: number, from: Comparison['from']): Comparison {
  return {
    id: `storm-${perSecond}`,
    title: `Requests at 1,000 a second, beside ${perSecond.toLocaleString('en')} new connections a second`,
    how:
      'One worker of the hub asks another; each round trip is counted from the moment at which the request was due. ' +
      'Meanwhile connections come, with one HTTP request each, to two web workers. `routed`: by `hub.listen()`. `direct`: ' +
      "each web worker listens by itself, and clients take turns. `calm`: no connections. The connections' latency is from " +
      'when each was due to its answer. CPU is for each connection, messages included.',
    from,
    contestants: CONTESTANTS,
    paced: true,
    against: 'direct',
    figures: [P99, latency('p50', 'round trip p50'), more('connect p99', 'ms'), rate('connections'), cpu('primary')],
    run: (name) =>
      runContestant(new URL(`../storm-contestants/${name}.js`, import.meta.url), [String(perSecond), String(SECONDS)]),
  }
}

const targets: Target[] = [{ comparison: 'storm-500', figure: P99, of: 'routed', against: 'direct', ratio: 2 }]

export const storm: Part = {
  name: 'storm',
  title: 'Connection storms',
  comparisons: [connections(500, 'quick'), connections(2000, 'full')],
  targets,
}
