import type { PrimaryHub } from 'hubwire'
import { io as open, type Socket } from 'socket.io-client'
import { until } from '../reload/app.js'

/**
 * The worker's half. Each process counts aloud in a room, and tells how far it came when it ends; each socket echoes,
 * acknowledges, and asks; what comes out of order is told.
 */
export const LOAD = `
  let k = 0
  const asked = { sent: 0, answered: 0 }
  io.on('connection', (socket) => {
    if (!socket.recovered) { socket.data.up = -1; socket.join('all') }
    socket.on('up', (n, bytes, done) => {
      if (n !== socket.data.up + 1) tell('gap', socket.id, socket.data.up, n)
      if (bytes && !(bytes.a.length === 3 && bytes.b.length === n % 500)) tell('gap', 'bytes')
      socket.data.up = n
      done(n)
      socket.emit('echo', n)
      if (n % 7 === 0) {
        asked.sent++
        socket.timeout(20000).emit('question', n, (error, answer) => {
          if (error || answer !== n) tell('gap', 'answer', String(error), answer, n)
          asked.answered++
        })
      }
    })
    socket.on('disconnect', (reason) => { if (reason !== 'handover') tell('left', socket.id, reason) })
  })
  const ticking = setInterval(() => {
    io.to('all').emit('tick', process.pid, k++)
    if (k % 10 === 0) io.to('all').emit('blob', process.pid, k / 10 - 1, Buffer.alloc(50))
  }, 4)
  hub.handle('stop', async () => {
    clearInterval(ticking)
    // The last answers may still be on their way.
    for (let i = 0; i < 4000 && asked.answered < asked.sent; i++) await new Promise((resolve) => setTimeout(resolve, 5))
    finals()
  })
  const finals = () => hub.to('primary').emit('final', process.pid, k, asked)
`

export const LOAD_OPTIONS = `{ onStop: async () => { clearInterval(ticking); finals() } }`

interface Final {
  ticks: number
  asked: { sent: number; answered: number }
}

/** One client that counts, and looks at what it gets. */
class Counter {
  readonly socket: Socket
  readonly wrong: string[] = []
  readonly ticks = new Map<number, number>()
  readonly blobs = new Map<number, number>()
  #sent = 0
  acks = 0
  echoes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(port: number, transports: string[]) {
    this.socket = open(`http://127.0.0.1:${port}`, { transports, forceNew: true, reconnection: false })
    const { socket } = this
    socket.on('disconnect', (reason) => this.wrong.push(`disconnected: ${reason}`))
    socket.on('echo', (n: number) => {
      if (n !== this.echoes) this.wrong.push(`echo ${n} instead of ${this.echoes}`)
      this.echoes = n + 1
    })
    socket.on('question', (n: number, done: (n: number) => void) => done(n))
    socket.on('tick', (pid: number, k: number) => this.#count('tick', this.ticks, pid, k))
    socket.on('blob', (pid: number, k: number, bytes: Uint8Array) => {
      if (Buffer.from(bytes).length !== 50) this.wrong.push('blob')
      this.#count('blob', this.blobs, pid, k)
    })
  }

  #count(what: string, counts: Map<number, number>, pid: number, k: number): void {
    const last = counts.get(pid)
    if (last !== undefined && k !== last + 1) this.wrong.push(`${what} ${k} of ${pid} after ${last}`)
    counts.set(pid, k)
  }

  start(ms: number): void {
    this.#timer = setInterval(() => {
      const n = this.#sent++
      const bytes = n % 3 === 0 ? { a: Buffer.alloc(3), b: Buffer.alloc(n % 500) } : null
      let answers = 0
      this.socket.emit('up', n, bytes, (answer: number) => {
        if (answer !== n || ++answers > 1) this.wrong.push(`ack ${answer} for ${n}`)
        this.acks++
      })
    }, ms)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  get done(): boolean {
    return this.acks === this.#sent && this.echoes === this.#sent
  }

  get sent(): number {
    return this.#sent
  }
}

/** Clients that count while something happens; afterwards it is looked whether each got all, once and in order. */
export async function underLoad(
  { hub, port, told }: { hub: PrimaryHub; port: number; told: unknown[][] },
  { websockets = 0, polling = 0, upgrading = 0 },
  during: () => Promise<void>,
): Promise<{ wrong: string[]; sent: number }> {
  const finals = new Map<number, Final>()
  hub.on('final', (pid: number, ticks: number, asked: Final['asked']) => finals.set(pid, { ticks, asked }))
  const counters: Counter[] = []
  const add = (count: number, transports: string[]) => {
    for (let i = 0; i < count; i++) counters.push(new Counter(port, transports))
  }
  add(websockets, ['websocket'])
  add(polling, ['polling'])
  await until(() => counters.every(({ socket }) => socket.connected), 'all are connected')
  // All have joined.
  await Promise.all(counters.map((counter) => until(() => counter.ticks.size > 0, 'ticks')))
  for (const counter of counters) counter.start(8)
  // These are in the middle of their upgrade when it begins.
  add(upgrading, ['polling', 'websocket'])
  for (const counter of counters.slice(-upgrading || counters.length)) counter.start(8)
  const wrong: string[] = []
  try {
    await during()
    for (const counter of counters) counter.stop()
    await until(() => counters.every((counter) => counter.done || counter.wrong.length > 0), 'all is answered').catch(
      (error: Error) => wrong.push(error.message),
    )
    const members = hub.members.filter(({ id }) => id !== 'primary')
    await Promise.all(members.map(({ id }) => hub.to(id).request('stop')))
    await hub.drained()
    const complete = (counter: Counter) =>
      [...finals].every(([pid, { ticks }]) => !counter.ticks.has(pid) || counter.ticks.get(pid) === ticks - 1)
    await until(() => counters.every((counter) => complete(counter) || counter.wrong.length > 0), 'all ticks').catch(
      (error: Error) => wrong.push(error.message),
    )
    counters.forEach((counter, i) => {
      for (const what of counter.wrong.slice(0, 5)) wrong.push(`client ${i}: ${what}`)
      if (!counter.done) wrong.push(`client ${i}: sent ${counter.sent}, acks ${counter.acks}, echoes ${counter.echoes}`)
      for (const [pid, { ticks }] of finals) {
        const last = counter.ticks.get(pid)
        if (last !== ticks - 1) wrong.push(`client ${i}: got ticks of ${pid} up to ${last} of ${ticks}`)
      }
    })
    for (const [pid, { asked }] of finals) {
      if (asked.sent !== asked.answered) wrong.push(`${pid} asked ${asked.sent}, was answered ${asked.answered}`)
    }
    for (const what of told) wrong.push(JSON.stringify(what))
  } finally {
    for (const { socket } of counters) {
      socket.off('disconnect')
      socket.close()
    }
  }
  return { wrong, sent: counters.reduce((sum, { sent }) => sum + sent, 0) }
}
