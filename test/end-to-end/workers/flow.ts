// A consumer that keeps the numbers of what it receives, and a producer that says how its emits went.
import { joinHub } from 'hubwire'

const hub = await joinHub()
const received: number[] = []
const receivedBy = new Map<string, number[]>()
/** Milliseconds that each takes. */
const work = Number(process.env.WORK ?? 0)
hub.on('item', (n: number, _text: string, from = '') => {
  received.push(n)
  const list = receivedBy.get(from)
  if (list) list.push(n)
  else receivedBy.set(from, [n])
  if (work === 0) return
  const end = performance.now() + work
  while (performance.now() < end);
})

const slow: string[] = []
hub.lifecycle.on('slow', ({ id }) => slow.push(id))
hub.handle('slow', () => slow)

hub.handle('received', () => received)
hub.handle('received-by', () => [...receivedBy])
hub.handle('forget', () => receivedBy.clear())
hub.handle('echo', ({ n }: { n: number }) => n)

hub.handle('ask', (id: string) => hub.to(id).request('echo', { n: 5 }))

hub.handle('flood', () => {
  const text = 'x'.repeat(1000)
  let accepted = 0
  while (hub.emit('nobody listens', text)) accepted++
  return { accepted, queued: hub.stats().queuedBytes, elsewhere: hub.to('consumer').emit('nobody listens') }
})
hub.handle('emit-after-drained', async () => {
  await hub.drained()
  return hub.emit('nobody listens')
})

hub.handle('produce', async ({ count, size, to }: { count: number; size: number; to: string | { role: string } }) => {
  const text = 'x'.repeat(size)
  let pauses = 0
  let mostQueued = 0
  for (let n = 1; n <= count; n++) {
    const more = hub.to(to as string).emit('item', n, text, hub.id)
    mostQueued = Math.max(mostQueued, hub.stats().queuedBytes)
    if (more) continue
    pauses++
    hub.to('primary').emit('paused', n)
    await hub.drained(to)
  }
  return { pauses, mostQueued }
})
