/** `node import.js <package>`: how long it takes to load it, in a process that has loaded nothing else. */
import { report } from '../measurement.js'

const name = process.argv[2] ?? ''
const start = performance.now()
await import(name)
const took = performance.now() - start
const { user, system } = process.cpuUsage()
const usage = [{ name: 'primary', cpu: user + system, memory: process.memoryUsage().rss }]
await report({ result: { elapsed: performance.now(), count: 1, usage, more: { import: took } } })
process.exit(0)
