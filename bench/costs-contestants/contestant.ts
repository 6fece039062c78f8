/** What processes and connections cost that do nothing: time to start, and memory. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { report } from '../measurement.js'
import { residentOf } from '../usage.js'

export const WORKERS = 4
const CONNECTIONS = 2000
/** Until processes that have just done something are as they stay. */
const REST = 500

/** In the primary: measures how long `start` takes, and what there is afterwards. */
export async function run(start: () => Promise<{ port: number; pids: number[] }>): Promise<void> {
  const before = performance.now()
  const { port, pids } = await start()
  const took = performance.now() - before
  await report({ pids })
  await sleep(REST)
  const resident = () => pids.reduce((sum, pid) => sum + residentOf(pid), process.memoryUsage().rss)
  const primary = process.memoryUsage().rss
  const idle = resident()
  await connect(port)
  await sleep(REST)
  const result = {
    elapsed: took,
    count: 1,
    usage: [],
    more: {
      start: took,
      primary: primary / 1e6,
      'each worker': (idle - primary) / WORKERS / 1e6,
      'each connection': (resident() - idle) / CONNECTIONS / 1e3,
    },
  }
  await report({ result })
  process.exit(0)
}

/** Opens connections that have been answered once, and stay. They are kept in another process's memory alone. */
async function connect(port: number): Promise<void> {
  const clients = fork(new URL('./clients.js', import.meta.url), [String(port), String(CONNECTIONS)], { execArgv: [] })
  process.once('exit', () => clients.kill('SIGKILL'))
  const ended = once(clients, 'exit').then(() => {
    throw new Error('the clients ended')
  })
  await Promise.race([once(clients, 'message'), ended])
}
