// Stops one worker under a flood, with SIGSTOP, and looks what becomes of all others: `npm run stopped`. Producers emit as
// fast as `emit` lets them, to all consumers at once. Exits with 1 where something does not hold.
//
//   npm run stopped -- --seconds 30 --hung 5000
//
// `--seconds`: how long it is stopped. `--hung`: instead of being continued, it is to be restarted after so many ms.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { joinHub, type PrimaryHub, startHub } from 'hubwire'

const PRODUCERS = 2
const CONSUMERS = 4
const SLOW_AFTER = 1000
/** Before and after, in seconds. */
const CALM = 5
/** What others keep of their throughput, at least. */
const KEPT = 0.9
/** What the primary's heap and buffers may grow by: its queues, twice their marks, and what Node has not collected yet. */
const GROWTH = 64 << 20

if (cluster.isPrimary) process.exitCode = (await run()) ? 0 : 1
else await work()

async function work(): Promise<void> {
  const hub = await joinHub()
  if (hub.role === 'consumer') {
    const last = new Map<string, number>()
    let received = 0
    let disorder = 0
    hub.onAny((_, [n], { from }) => {
      received++
      if ((n as number) <= (last.get(from.id) ?? 0)) disorder++
      last.set(from.id, n as number)
    })
    hub.handle('received', () => ({ received, disorder, last: [...last] }))
    return
  }
  let sent = 0
  let going = true
  const text = 'x'.repeat(100)
  hub.handle('sent', () => sent)
  hub.handle('end', () => {
    going = false
    return sent
  })
  hub.handle('flood', async () => {
    const consumers = hub.to({ role: 'consumer' })
    while (going) {
      if (!consumers.emit('item', ++sent, text)) await hub.drained({ role: 'consumer' })
      // A producer has other things to do, too: answering who asks how far it is.
      else if (sent % 1000 === 0) await new Promise(setImmediate)
    }
  })
}

interface Received {
  received: number
  disorder: number
  last: [string, number][]
}

async function run(): Promise<boolean> {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '30' }, hung: { type: 'string' } },
  })
  const seconds = Number(values.seconds)
  const hub = await startHub({
    slowAfter: SLOW_AFTER,
    backoff: { min: 1, max: 10 },
    workers: [
      { role: 'producer', count: PRODUCERS },
      { role: 'consumer', count: CONSUMERS, ...(values.hung ? { hungAfter: Number(values.hung) } : {}) },
    ],
  })
  const stopped = 'consumer-1'
  const others = Array.from({ length: CONSUMERS - 1 }, (_, i) => `consumer-${i + 2}`)
  const held: boolean[] = []
  const check = (what: string, holds: boolean) => {
    console.log(`${holds ? 'ok  ' : 'FAIL'} ${what}`)
    held.push(holds)
  }
  const floods = hub.to({ role: 'producer' }).timeout(Number.POSITIVE_INFINITY).gather('flood')
  await sleep(2000)

  const before = await throughput(hub, others, CALM)
  const memory = watchMemory()
  const pid = hub.members.find(({ id }) => id === stopped)?.pid as number
  const slow = once(hub.lifecycle, 'slow')
  const join = once(hub.lifecycle, 'join')
  process.kill(pid, 'SIGSTOP')
  const start = performance.now()
  try {
    await slow
    const took = performance.now() - start
    check(`slow after ${took.toFixed(0)} ms`, took < SLOW_AFTER * 3)
    if (values.hung) {
      await join
      console.log(`     restarted after ${((performance.now() - start) / 1000).toFixed(1)} s`)
    }
    const during = await throughput(hub, others, values.hung ? CALM : seconds)
    const kept = during / before
    check(`others: ${rate(before)} before, ${rate(during)} meanwhile (${(kept * 100).toFixed(0)} %)`, kept >= KEPT)
    const growth = memory.growth()
    check(`the primary has grown by ${mib(growth)}, RSS ${mib(process.memoryUsage().rss)}`, growth < GROWTH)
    const { queuedBytes, droppedEvents } = linkOf(hub, stopped)
    console.log(`     ${mib(queuedBytes)} queued towards it, ${droppedEvents} events dropped`)
  } finally {
    try {
      process.kill(pid, 'SIGCONT')
    } catch {
      // It has been killed, as it was to be.
    }
  }
  await sleep(CALM * 1000)
  const after = await throughput(hub, others, CALM)
  console.log(`     afterwards ${rate(after)}`)
  await hub.to({ role: 'producer' }).gather('end')
  await floods
  await hub.drained()
  const sent = await Promise.all(
    Array.from({ length: PRODUCERS }, (_, i) => hub.to(`producer-${i + 1}`).request('sent') as Promise<number>),
  )
  const total = sent.reduce((sum, n) => sum + n, 0)
  for (const id of [stopped, ...others]) {
    const { received, disorder, last } = (await hub.to(id).request('received')) as Received
    const { droppedEvents, slow: isSlow } = linkOf(hub, id)
    const lost = total - received - droppedEvents
    // What was on its way to a process that was killed is lost with it.
    const whole = id === stopped && values.hung ? lost >= 0 : lost === 0 && (id === stopped || droppedEvents === 0)
    const isLast = last.every(([from, n]) => n === sent[Number(from.split('-')[1]) - 1])
    check(
      `${id}: ${received} of ${total} received, ${droppedEvents} dropped, ${lost} lost; ` +
        `${isLast ? 'caught up' : 'BEHIND'}${disorder > 0 ? `, ${disorder} OUT OF ORDER` : ''}`,
      whole && isLast && !isSlow && disorder === 0,
    )
  }
  memory.end()
  await hub.close()
  return held.every(Boolean)
}

/** Events a second that these consumers get. */
async function throughput(hub: PrimaryHub, ids: readonly string[], seconds: number): Promise<number> {
  const count = async () => {
    const counts = await Promise.all(
      ids.map(async (id) => ((await hub.to(id).request('received')) as Received).received),
    )
    return counts.reduce((sum, n) => sum + n, 0)
  }
  const first = await count()
  const start = performance.now()
  await sleep(seconds * 1000)
  const last = await count()
  return ((last - first) / (performance.now() - start)) * 1000
}

/** What this process's memory is above that of now, at most. */
function watchMemory(): { growth(): number; end(): void } {
  const used = () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const first = used()
  let most = first
  const timer = setInterval(() => {
    most = Math.max(most, used())
  }, 50)
  return { growth: () => most - first, end: () => clearInterval(timer) }
}

function linkOf(hub: PrimaryHub, id: string) {
  const link = hub.stats().links?.find((one) => one.id === id)
  if (!link) throw new Error(`no link of ${id}`)
  return link
}

function rate(perSecond: number): string {
  return `${Math.round(perSecond).toLocaleString('en')}/s`
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
