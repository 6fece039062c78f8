/** What is paid before anything is done: loading, starting, memory. */
import { runContestant } from '../alternate.js'
import { type Comparison, more, type Part, type Target } from '../comparison.js'
import { installed } from '../installed.js'

const PACKAGES = ['hubwire', 'hubwire/socket.io', 'ioredis', 'nats', 'socket.io', 'bullmq']

const IMPORT = more('import', 'ms')

const imports: Comparison = {
  id: 'import',
  title: 'Loading a package',
  how:
    '`await import(…)` in a process that has loaded nothing else, of the package as it is installed: with its modules ' +
    'bundled. The files are in the page cache after the warm-up.',
  from: 'default',
  contestants: PACKAGES.map((name) => ({ name, from: name === 'bullmq' ? 'full' : 'default' })),
  against: 'hubwire',
  figures: [IMPORT],
  run: async (name) => runContestant(new URL('costs-contestants/import.js', await installed()), [name]),
}

const idle: Comparison = {
  id: 'idle',
  title: 'Starting 4 workers, and what they take that do nothing',
  how:
    'From the first fork until all four listen, as HTTP servers, with the package as it is installed. Memory is what is resident half a second later, in the ' +
    'primary and in each worker; then what primary and workers grow by for each of 2,000 connections that have been ' +
    'answered once, and stay.',
  from: 'quick',
  contestants: [
    { name: 'cluster', from: 'quick' },
    { name: 'hubwire', from: 'quick' },
  ],
  paced: true,
  against: 'cluster',
  figures: [more('start', 'ms'), more('primary', 'MB'), more('each worker', 'MB'), more('each connection', 'kB')],
  run: async (name) => runContestant(new URL(`costs-contestants/${name}.js`, await installed()), []),
}

const targets: Target[] = [{ comparison: 'import', figure: IMPORT, most: 25 }]

export const costs: Part = {
  name: 'costs',
  title: 'What it costs to be there',
  comparisons: [imports, idle],
  targets,
}
