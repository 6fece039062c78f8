/** What becomes of the quick requests of a server when the slow ones are delegated. */
import { runContestant } from '../alternate.js'
import { type Comparison, cpu, latency, type Mode, more, type Part, rate, type Target } from '../comparison.js'

/** Of a run. */
const SECONDS = 2

const P99 = latency('p99', '/ping p99', 'ms')

function pings(how: 'offered' | 'autocannon', title: string, words: string, from: Mode): Comparison {
  return {
    id: `delegation-${how}`,
    title,
    how:
      'Four processes serve, each `/report` costs 50 ms of CPU, and ten a second are asked for, evenly. `inline`: four web ' +
      `workers make the reports themselves. \`delegated\`: two web workers delegate them to two dedicated workers. ${words} ` +
      `For ${SECONDS} s, after one to warm up.`,
    from,
    contestants: [
      { name: 'inline', from: 'quick' },
      { name: 'delegated', from: 'quick' },
    ],
    paced: true,
    against: 'inline',
    figures: [
      P99,
      latency('p50', '/ping p50', 'ms'),
      more('report p50', 'ms'),
      rate('pings'),
      cpu('primary'),
      cpu('workers'),
    ],
    run: (name) =>
      runContestant(new URL(`../delegation-contestants/${name}.js`, import.meta.url), [how, String(SECONDS)]),
  }
}

const target = (comparison: string): Target => ({
  comparison,
  figure: P99,
  of: 'delegated',
  against: 'inline',
  ratio: 1 / 5,
})

export const delegation: Part = {
  name: 'delegation',
  title: 'Slow requests beside quick ones',
  comparisons: [
    pings(
      'offered',
      '/ping at 500 a second, beside 10 reports a second',
      'Each ping is timed from the moment at which it was due, over 50 kept-alive connections.',
      'full',
    ),
    pings(
      'autocannon',
      '/ping by autocannon, beside 10 reports a second',
      'Ten autocannons, a tenth of a second apart, have five connections and an `overallRate` of 50 each: each sends what is due in a second at its beginning. Its own figures, corrected by itself for what it did not send, in whole milliseconds.',
      'quick',
    ),
  ],
  targets: [target('delegation-offered'), target('delegation-autocannon')],
}
