/**
 * Work of a known size for the wire, the hub and the member, all in one process and so without any system call for it:
 * `node wire-work.js <events|requests|binary> <count>`. Prints the bytes that were allocated for each, as JSON; run it
 * with a young generation that is never collected meanwhile.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { startHub } from 'hubwire'
import { item } from './workloads.js'

const [kind, countText] = process.argv.slice(2) as ['events' | 'requests' | 'binary', string]
const count = Number(countText)
/** Before it is counted, so that what is hot is compiled as it stays. */
const WARM_UP = 20_000
/** In a turn. */
const SLICE = 100

const hub = await startHub()
let received = 0
hub.on('item', () => received++)
hub.handle('echo', (value) => value)

async function work(times: number): Promise<void> {
  const binary = { data: new Uint8Array(256), i: 0 }
  for (let i = 0; i < times; i += SLICE) {
    const answers: Promise<unknown>[] = []
    for (let n = 0; n < SLICE; n++) {
      if (kind === 'events') hub.emit('item', item('100 B', i + n))
      else if (kind === 'binary') hub.emit('item', binary)
      else answers.push(hub.to('primary').request('echo', item('100 B', i + n)))
    }
    await Promise.all(answers)
    await turn()
  }
  if (kind === 'requests') return
  while (received < times) await turn()
  received = 0
}

await work(WARM_UP)
let collections = 0
new PerformanceObserver((list) => {
  collections += list.getEntries().length
}).observe({ entryTypes: ['gc'] })
const used = () => {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
const before = used()
await work(count)
const allocated = used() - before
await turn()
console.log(JSON.stringify({ bytes: allocated / count, collections }))
process.exit(0)
