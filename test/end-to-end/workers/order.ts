import { type Hub, joinHub } from 'hubwire'

/** A small generator of numbers, so that a failing order can be had again. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Job {
  to: string
  seed: number
  count: number
}

/** Events and requests, small and large, as text, wide text and binary; each carries its number. */
async function send(hub: Hub, { to, seed, count }: Job): Promise<void> {
  const next = random(seed)
  const target = hub.to(to)
  const answers: Promise<unknown>[] = []
  for (let n = 0; n < count; n++) {
    const dice = next()
    if (dice < 0.25) target.emit('one', n, 'text')
    else if (dice < 0.4) target.emit('two', n, '漢字 🙂')
    else if (dice < 0.5) target.emit('one', n, new Uint8Array(Math.floor(next() * 300)))
    else if (dice < 0.55) hub.emit('one', n, 'to everybody')
    else if (dice < 0.6) hub.to([to]).emit('two', n)
    else if (dice < 0.62) target.emit('two', n, new Date(n), new Map([[n, n]]))
    else if (dice < 0.63) target.emit('one', n, 'x'.repeat(Math.floor(next() * 100_000)))
    else if (dice < 0.8) answers.push(target.request('one', [n, 'text']))
    else if (dice < 0.95) answers.push(target.request('two', [n, new Uint8Array(Math.floor(next() * 300))]))
    else answers.push(target.retry(1).request('one', [n]))
    // Sometimes a new batch begins, sometimes all that was sent has gone, and sometimes the answers have come.
    const pause = next()
    if (pause < 0.01) await new Promise((resolve) => setImmediate(resolve))
    else if (pause < 0.012) await hub.drained()
    else if (pause < 0.013) await Promise.all(answers.splice(0))
  }
  for (const answer of await Promise.all(answers)) if (answer !== to) throw new Error(`${to} answered ${answer}`)
}

/** Notes down in which order the numbers of each sender arrive, and sends when it is asked to. */
export function takePart(hub: Hub): void {
  const arrived = new Map<string, number[]>()
  const note = (from: string, n: number) => {
    const list = arrived.get(from)
    if (list) list.push(n)
    else arrived.set(from, [n])
  }
  hub.onAny((_event, [n], { from }) => note(from.id, n))
  for (const event of ['one', 'two']) hub.on(event, () => {})
  for (const task of ['one', 'two']) {
    hub.handle(task, ([n], { from }) => {
      note(from.id, n)
      return hub.id
    })
  }
  hub.handle('send', (job: Job) => send(hub, job))
  hub.handle('arrived', (_input, { from }) => {
    const list = arrived.get(from.id) ?? []
    arrived.delete(from.id)
    return list
  })
  hub.handle('check', async ({ to, count }: Job) => {
    // Sent after all the rest, so it arrives after it.
    const list: number[] = await hub.to(to).request('arrived')
    const wrong = list.findIndex((n, i) => n !== i)
    return {
      length: list.length,
      complete: list.length === count && wrong === -1,
      around: list.slice(wrong - 3, wrong + 4),
    }
  })
}

if (import.meta.filename === process.argv[1]) takePart(await joinHub())
