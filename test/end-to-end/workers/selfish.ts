import { joinHub } from 'hubwire'

// Sends itself events and requests, and notes in which order they come.
const hub = await joinHub()
const seen: (string | number)[] = []
let failed = 0

hub.on('tick', (n: number) => seen.push(n))
hub.handle(
  'note',
  (n: number) => {
    seen.push(`${n}`)
    // Whatever follows shares a batch with this handler's answer.
    if (n % 3 === 0) hub.to(hub.id).emit('tick', n + 0.5)
    return n % 2 ? n : Promise.resolve(n)
  },
  { concurrency: 1 },
)

hub.handle('go', async (count: number) => {
  const answers: Promise<unknown>[] = []
  for (let n = 0; n < count; n++) {
    hub.to(hub.id).emit('tick', n)
    const call = n % 5 === 0 ? hub.delegate('note', n) : hub.to(hub.id).request('note', n)
    answers.push(call.catch(() => failed++))
    if (n % 7 === 0) await new Promise(setImmediate)
  }
  await Promise.all(answers)
  return { seen, failed }
})
