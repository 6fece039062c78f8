// Counts what it does with prom-client, as workers do whose primary collects the metrics of all.
import { joinHub } from 'hubwire'
import { AggregatorRegistry, Counter, Gauge, Histogram } from 'prom-client'

new AggregatorRegistry()
const heard = new Counter({ name: 'heard_total', help: 'Events heard.' })
const bytes = new Histogram({ name: 'task_bytes', help: 'Bytes of inputs.', buckets: [10, 100] })
const members = new Gauge({ name: 'members', help: 'As seen by each.', labelNames: ['id'] })

const hub = await joinHub()
hub.on('news', () => heard.inc())
hub.handle('measure', (input: Uint8Array) => {
  bytes.observe(input.length)
  members.labels(hub.id).set(hub.members.length)
  return input.length
})
