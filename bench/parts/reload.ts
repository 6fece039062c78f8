/** A deploy while clients are connected. */
import { runContestant } from '../alternate.js'
import { type Comparison, more, type Part, type Target } from '../comparison.js'
import { RELOAD } from '../reload-workloads.js'

const { workers, clients, listeners, hertz } = RELOAD
const GAP = more('gap', 'ms')
const MOVING = more('moving', 'ms')
const CPU = ['old', 'new', 'primary'].map((name) => more(name, 'ms'))

const sessions: Comparison = {
  id: 'reload-sessions',
  title: `New code for ${workers} workers with ${clients.toLocaleString('en')} Socket.IO clients`,
  how:
    'All workers are exchanged twice, one after the other. `hubwire`: `hub.reload()`. `official`: @socket.io/sticky and ' +
    '@socket.io/cluster-adapter; a new worker is started, then the old one closes its server, and its clients come back ' +
    'after the 500 to 1500 ms that the client waits unless told otherwise. First nothing else goes on: `moving` is how long ' +
    'clients were between two processes, workers added up, and `old`, `new` and `primary` are the CPU time of these ' +
    `processes meanwhile, for each connection. Then ${listeners} of the clients get ${hertz} messages a second each: ` +
    '`gap` is the p99 over them of the longest time from one message to the next; `disconnected` is of all clients, ' +
    '`lost` of all messages that were sent while the workers were exchanged.',
  from: 'full',
  contestants: [
    { name: 'official', from: 'full' },
    { name: 'hubwire', from: 'quick' },
  ],
  paced: true,
  against: 'official',
  figures: [GAP, MOVING, more('disconnected', '%'), more('lost', '%'), ...CPU],
  run: (name) => runContestant(new URL(`../reload-contestants/${name}.js`, import.meta.url), []),
}

const targets: Target[] = [
  { comparison: 'reload-sessions', figure: GAP, most: 100 },
  { comparison: 'reload-sessions', figure: MOVING, most: 3000 },
  ...CPU.map((figure) => ({ comparison: 'reload-sessions', figure, most: 2 })),
]

export const reload: Part = {
  name: 'reload',
  title: 'Deploying',
  comparisons: [sessions],
  targets,
}
