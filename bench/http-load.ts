/** The load generator: `node http-load.js <port> <workload>`. Tells its parent what it has measured. */
import autocannon from 'autocannon'
import { summarize } from './alternate.js'
import { BODY, CONNECTIONS, type Load, SECONDS, type Workload } from './http-workloads.js'

const [port, workload] = process.argv.slice(2) as [string, Workload]

const running = autocannon({
  url: `http://127.0.0.1:${port}/`,
  connections: CONNECTIONS,
  // Not so many requests: autocannon notices their end a second late.
  duration: SECONDS,
  ...(workload === 'post' && { method: 'POST', body: 'x'.repeat(BODY) }),
  ...(workload === 'close' && { headers: { connection: 'close' } }),
})
// Its own histogram counts whole milliseconds: most answers take less than one.
const latencies: number[] = []
running.on('response', (_client, status, _bytes, latency) => {
  if (status >= 200 && status < 300) latencies.push(latency)
})
const result = await running
const load: Load = {
  elapsed: result.duration * 1000,
  p50: summarize(latencies).median,
  answered: result['2xx'],
}
process.send?.(load, () => process.exit(0))
