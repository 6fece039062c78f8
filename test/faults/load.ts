import { setTimeout as sleep } from 'node:timers/promises'
import type { Hub } from 'hubwire'
import type { Server } from 'socket.io'
import type { Random } from '../fuzz/random.js'
import { type Ask, type Faults, type Mark, processName, ROLES, ROOMS, SEATS, type View } from './contract.js'
import type { History } from './history.js'

/** How long a call waits that may be sent again, and one that may not, in milliseconds. */
const PATIENT = 120_000
const USUAL = 40_000
const SHORT = 60
const CONCURRENCY = 4

const bit = (id: string) => 1 << SEATS.indexOf(id as (typeof SEATS)[number])
const bits = (ids: readonly string[]) => ids.reduce((mask, id) => mask | bit(id), 0)

/** What every member does without a pause: events, calls, delegation and packets; and what it writes down of it. */
export class Load {
  readonly #hub: Hub<Faults>
  readonly #io: Server
  readonly #history: History
  readonly #random: Random
  readonly #name: string
  readonly #calls = new Set<Promise<void>>()
  readonly #heard = new Map<string, number>()
  /** Between two steps, in milliseconds. */
  readonly #step = Number(process.env.FAULTS_STEP ?? 40)
  #n = 0
  #working = 0
  #going = false
  #loop: Promise<void> = Promise.resolve()

  constructor(hub: Hub<Faults>, io: Server, history: History, random: Random) {
    this.#hub = hub
    this.#io = io
    this.#history = history
    this.#random = random
    this.#name = processName(hub.id, process.pid)
    this.#serve()
  }

  start(): void {
    if (this.#going) return
    this.#going = true
    this.#loop = this.#run()
  }

  /** Resolves when nothing is under way. */
  async rest(): Promise<void> {
    this.#going = false
    await this.#loop
    await Promise.all(this.#calls)
  }

  /** Begins a history of its own. */
  begin(round: number): void {
    this.#history.open(round)
  }

  mark(): Mark {
    this.#emit('everybody')
    const item = this.#n
    this.#packet('*')
    return { name: this.#name, item, packet: this.#n }
  }

  view(): View {
    const { pendingCalls, runningTasks, queuedBytes } = this.#hub.stats()
    return {
      name: this.#name,
      members: this.#hub.members.map(({ id, pid, incarnation, state }) => `${id}#${incarnation}:${pid} ${state}`),
      heard: Object.fromEntries(this.#heard),
      pendingCalls,
      // This one is asked by a task.
      runningTasks: runningTasks - (this.#hub.id === 'primary' ? 0 : 1),
      queuedBytes,
    }
  }

  /** Many events to one seat. Who does not heed `emit` fills queues. */
  async flood(count: number, heeds: boolean): Promise<void> {
    const to = this.#random.pick(SEATS)
    const filler = 'f'.repeat(300)
    for (let i = 0; i < count; i++) {
      const goesOn = this.#emit(to, filler)
      if (!goesOn && heeds) await this.#drained()
      // Somebody else wants to be served here, too.
      if (i % 500 === 499) await new Promise(setImmediate)
    }
  }

  huge(bytes: number): void {
    this.#emit('others', new Uint8Array(bytes).fill(7))
  }

  #serve(): void {
    const hub = this.#hub
    hub.on('item', () => {})
    hub.onAny((event, args, { from }) => {
      if (event !== 'item') return
      const [name, n, filler] = args as [string, number, unknown]
      this.#history.write(`e ${name} ${from.incarnation} ${n}`)
      if (!name.startsWith(`${from.id}:`)) this.#wrong(`${name} ${n} came as from ${from.id}`)
      if (filler instanceof Uint8Array && (filler.at(-1) !== 7 || filler[0] !== 7))
        this.#wrong(`${name} ${n} is not whole`)
      if (n > (this.#heard.get(name) ?? 0)) this.#heard.set(name, n)
    })
    hub.handle('echo', (ask, { from }) => {
      this.#ran(ask, from)
      if (ask.fails) throw Object.assign(new Error(`planned ${ask.key}`), { code: 'E_PLANNED' })
      return { key: ask.key, by: this.#name }
    })
    if (hub.role === 'crunch' || hub.id === 'web-1') {
      hub.handle(
        'work',
        async (ask, { from }) => {
          this.#ran(ask, from)
          if (++this.#working > CONCURRENCY) this.#wrong(`${this.#working} run at a time`)
          await sleep(ask.ms)
          this.#working--
          return { key: ask.key, by: this.#name }
        },
        { concurrency: CONCURRENCY },
      )
    }
    hub.lifecycle.on('leave', ({ id, incarnation }) => this.#history.write(`L ${id} ${incarnation}`))
  }

  #ran({ from, n, ordered }: Ask, sender: { id: string; incarnation: number }): void {
    this.#history.write(`R ${from} ${sender.incarnation} ${n} ${ordered ? 1 : 0}`)
    if (!from.startsWith(`${sender.id}:`)) this.#wrong(`call ${n} of ${from} came as from ${sender.id}`)
  }

  async #run(): Promise<void> {
    while (this.#going) {
      let goesOn = true
      for (let i = 0; i < 2; i++) goesOn = this.#event() && goesOn
      this.#track(this.#request())
      if (this.#random.chance(0.4)) this.#track(this.#delegate())
      if (this.#random.chance(0.5)) this.#packet(this.#random.chance(0.1) ? '*' : `room-${this.#random.below(ROOMS)}`)
      if (!goesOn) await this.#drained()
      await sleep(this.#step)
    }
  }

  #event(): boolean {
    const random = this.#random
    const to = random.pick([
      'everybody',
      'others',
      { role: 'web' },
      { role: 'crunch' },
      random.pick(SEATS),
      random.pick(SEATS),
      [random.pick(SEATS.slice(0, 3)), random.pick(SEATS.slice(3))],
    ] as const)
    const size = random.chance(0.05) ? 20_000 : random.below(200)
    return this.#emit(to, random.chance(0.2) ? new Uint8Array(size + 1).fill(7) : 'x'.repeat(size))
  }

  /** Returns false where it should slow down. */
  #emit(to: string | readonly string[] | { readonly role: string }, filler?: string | Uint8Array): boolean {
    const hub = this.#hub
    const n = ++this.#n
    const seats =
      to === 'everybody' || to === 'others'
        ? bits(SEATS) & (to === 'others' ? ~bit(hub.id) : -1)
        : bits(typeof to === 'string' ? [to] : 'role' in to ? (ROLES[to.role] ?? []) : to)
    this.#history.write(`S ${n} ${seats}`)
    const args = [this.#name, n, ...(filler === undefined ? [] : [filler])] as [string, number, string]
    try {
      if (to === 'everybody') return hub.emit('item', ...args)
      if (to === 'others') return hub.broadcast('item', ...args)
      return hub.to(to as string).emit('item', ...args)
    } catch (error) {
      this.#history.write(`x ${n}`)
      const { code, message } = error as Error & { code?: string }
      if (code === 'ERR_HUB_CLOSED') this.#going = false
      else if (code !== 'ERR_HUB_OVERLOADED' && code !== 'ERR_HUB_PAYLOAD') this.#wrong(`emit threw ${message}`)
      return false
    }
  }

  async #drained(): Promise<void> {
    try {
      await this.#hub.drained()
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_HUB_CLOSED') this.#wrong(`drained() failed: ${error}`)
    }
  }

  /** A call to one member, which runs at most once. */
  #request(): Promise<void> {
    const random = this.#random
    const to = random.pick(SEATS)
    const mode = random.pick(['plain', 'plain', 'plain', 'plain', 'fail', 'short', 'abort'] as const)
    const ask = this.#ask(mode === 'plain', mode === 'fail')
    const limit = mode === 'short' ? SHORT : USUAL
    this.#history.write(`Q ${ask.n} ${to} 0 ${limit} ${mode} ${Date.now()}`)
    let target = this.#hub.to(to).timeout(limit)
    if (mode === 'abort') {
      const controller = new AbortController()
      setTimeout(() => controller.abort(), random.below(20))
      target = target.signal(controller.signal)
    }
    return this.#settle(ask, target.request('echo', ask))
  }

  /** A call to whoever is free, which is sent again when that one dies. */
  #delegate(): Promise<void> {
    const ask = this.#ask(false, false)
    ask.ms = this.#random.chance(0.2) ? 100 + this.#random.below(900) : this.#random.below(40)
    this.#history.write(`Q ${ask.n} * 200 ${PATIENT} plain ${Date.now()}`)
    return this.#settle(ask, this.#hub.timeout(PATIENT).retry(200).delegate('work', ask))
  }

  #ask(ordered: boolean, fails: boolean): Ask {
    const n = ++this.#n
    return { key: `${this.#name}/${n}`, from: this.#name, n, ms: 0, fails, ordered }
  }

  async #settle(ask: Ask, answer: Promise<{ key: string; by: string }>): Promise<void> {
    try {
      const { key, by } = await answer
      this.#history.write(`A ${ask.n} ok ${by} ${Date.now()}`)
      if (key !== ask.key) this.#wrong(`${ask.key} got the answer to ${key}, by ${by}`)
    } catch (error) {
      const { code = 'none', message } = error as Error & { code?: string }
      this.#history.write(`A ${ask.n} ${code} - ${Date.now()}`)
      if (code === 'E_PLANNED' && message !== `planned ${ask.key}`)
        this.#wrong(`${ask.key} got another's error: ${message}`)
      if (code === 'none') this.#wrong(`${ask.key} failed: ${message}`)
    }
  }

  #packet(room: string): void {
    const n = ++this.#n
    this.#history.write(`M ${n} ${room}`)
    if (room === '*') this.#io.emit('packet', this.#name, n)
    else this.#io.to(room).emit('packet', this.#name, n)
  }

  #track(call: Promise<void>): void {
    this.#calls.add(call)
    call.finally(() => this.#calls.delete(call))
  }

  #wrong(words: string): void {
    this.#history.write(`W ${words.replaceAll(/\s+/g, ' ')}`)
  }
}
