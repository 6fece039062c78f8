import assert from 'node:assert/strict'
import type { Place } from '#lib/relay/place.js'
import type { MemberState } from '#lib/types.js'
import { Address, ATTACHED, callFrame, Kind } from '#lib/wire/frame.js'
import { type Process, type Sent, World, type WorldOptions } from './world.js'

const TASKS = ['x', 'y'] as const
const SEATS: readonly [id: string, role: string | undefined][] = [
  ['a', 'w'],
  ['b', 'w'],
  ['c', undefined],
]

type Audience = Place | 'w' | 'any'

interface ModelCall {
  readonly from: Process
  readonly id: number
  readonly task: string
  readonly audience: Audience
  readonly arrival: number
  retries: number
  /** `waiting` is in the hub: queued, or held for a seat. */
  state: 'waiting' | 'running' | 'over'
  held: boolean
  server: Process | undefined
  cancelled: boolean
  /** Has been at work before. */
  again: boolean
}

/**
 * What the hub should do, as naively as it can be said: a list of all calls ever made. The hub chooses; the model checks
 * that the choice was allowed, and that nothing is left that should have been done.
 */
export class Model {
  readonly world: World
  readonly #options: Required<Pick<WorldOptions, 'maxQueuedTasks'>>
  readonly #places: Place[]
  readonly #role = new Map<Place, string | undefined>()
  /** Who sits on which seat now. */
  readonly #seated = new Map<Place, Process>()
  readonly #everybody: Process[] = []
  readonly #calls: ModelCall[] = []
  /** What the last ready process of a seat served. */
  readonly #known = new Map<Place, Set<string>>()
  #arrivals = 0

  constructor(options: { maxQueuedTasks: number }) {
    this.#options = options
    this.world = new World(options)
    this.#places = SEATS.map(([id, role]) => {
      const place = this.world.place(id, role)
      this.#role.set(place, role)
      return place
    })
    for (const place of this.#places) this.#start(place)
    this.world.sent()
  }

  act(kind: string, n: number, m: number, k: number): void {
    const place = this.#places[n % this.#places.length] as Place
    const process = this.#seated.get(place)
    const task = TASKS[m % TASKS.length] as string
    switch (kind) {
      case 'request':
      case 'delegate':
        if (process) this.#ask([[process, kind, m, k]])
        return
      case 'burst':
        // Several calls in one batch.
        if (process) this.#ask([0, 1, 2].map((i) => [process, i === k % 3 ? 'request' : 'delegate', m + i, k + i]))
        return
      case 'answer': {
        const running = this.#calls.filter(({ state, server }) => state === 'running' && server?.gone === false)
        const call = running[n % Math.max(1, running.length)]
        if (call) this.#answer(call)
        return
      }
      case 'cancel': {
        const mine = this.#calls.filter(({ state, cancelled, from }) => state !== 'over' && !cancelled && !from.gone)
        const call = mine[n % Math.max(1, mine.length)]
        if (call) this.#cancel(call)
        return
      }
      case 'handle':
        if (!process) return
        process.handle(task, 1 + (k % 3))
        if (process.ready) this.#known.set(place, new Set(process.handlers.keys()))
        this.#check()
        return
      case 'unhandle':
        if (!process) return
        process.unhandle(task)
        if (process.ready) this.#known.set(place, new Set(process.handlers.keys()))
        this.#check()
        return
      case 'start':
        if (!process) this.#start(place)
        this.#check()
        return
      case 'ready':
        if (!process || process.ready || place.state === 'stopping') return
        this.#known.set(place, new Set(process.handlers.keys()))
        this.world.open(process)
        for (const call of this.#calls) if (call.audience === place) call.held = false
        this.#check()
        return
      case 'exit':
        if (process)
          this.#exit(process, (['restarting', 'restarting', 'stopped', 'given-up'] as const)[k % 4] as MemberState)
        return
      case 'stop':
        if (!process) return
        process.ready = false
        this.world.exchange.update(place, 'stopping', 1)
        this.#check()
        return
      case 'forge':
        if (process) this.#forge(process, m)
        return
      case 'late': {
        // What a process had written before it died, and is read after its end was noticed.
        const gone = this.#everybody.filter((one) => one.gone)
        const one = gone[n % Math.max(1, gone.length)]
        if (one) this.#forge(one, m)
        return
      }
    }
  }

  /** Everybody finishes, and leaves. */
  end(): void {
    for (let busy = true; busy; ) {
      const call = this.#calls.find(({ state, server }) => state === 'running' && server?.gone === false)
      busy = call !== undefined
      if (call) this.#answer(call)
    }
    for (const process of [...this.#seated.values()]) this.#exit(process, 'stopped')
    assert.deepEqual(
      this.#calls.filter(({ state }) => state !== 'over'),
      [],
      'every call is over',
    )
    const { dispatcher, directory } = this.world.exchange
    assert.equal(dispatcher.queued, 0, 'nothing is queued')
    assert.equal(dispatcher.unsettled, 0, 'nobody has open calls, gone callers included')
    for (const { peer } of this.#everybody) assert.equal(directory.entry(peer.address), undefined, 'no address is kept')
  }

  get refusals(): number {
    return this.#refusals
  }
  #refusals = 0

  #start(place: Place): void {
    const process = this.world.start(place)
    this.#seated.set(place, process)
    this.#everybody.push(process)
  }

  #ask(asked: [from: Process, kind: string, m: number, k: number][]): void {
    let frames = ''
    const attachments: Uint8Array[] = []
    const calls: ModelCall[] = []
    for (const [from, kind, m, k] of asked) {
      const task = TASKS[m % TASKS.length] as string
      const audience: Audience =
        kind === 'request' ? (this.#places[k % this.#places.length] as Place) : k % 3 === 0 ? 'w' : 'any'
      const address =
        audience === 'any'
          ? Address.Anybody
          : audience === 'w'
            ? (this.world.exchange.directory.role('w')?.address as number)
            : audience.address
      const id = ++from.lastCall
      const retries = k % 4 === 0 ? 1 + (m % 2) : 0
      const attached = k % 2 === 0
      frames += from.frame(address, task, id, retries, attached ? ATTACHED : 0)
      if (attached) attachments.push(Uint8Array.of(id))
      calls.push({
        from,
        id,
        task,
        audience,
        arrival: this.#arrivals++,
        retries,
        state: 'waiting',
        held: false,
        server: undefined,
        cancelled: false,
        again: false,
      })
    }
    // Where one call alone is made, the choice of its server can be checked against what there was before.
    const [first] = calls as [ModelCall]
    const choice = calls.length === 1 && typeof first.audience === 'string' ? this.#leastBusy(first) : undefined
    this.#calls.push(...calls)
    const [from] = asked[0] as [Process, string, number, number]
    from.send(frames, attachments)
    for (const call of calls) {
      call.held = typeof call.audience !== 'string' && !this.#isReady(call.audience)
    }
    this.#check()
    if (choice && first.state === 'running') assert.ok(choice.has(first.server as Process), 'least outstanding')
  }

  /** The members with room that have least outstanding. */
  #leastBusy(call: ModelCall): Set<Process> {
    const able = [...this.#seated.values()].filter((process) => this.#hasRoom(process, call))
    const least = Math.min(...able.map((process) => this.#outstanding(process)))
    return new Set(able.filter((process) => this.#outstanding(process) === least))
  }

  #answer(call: ModelCall): void {
    const server = call.server as Process
    const body = `done ${call.arrival}`
    call.state = 'over'
    call.server = undefined
    server.answer(call.from, call.id, body)
    const answers = this.#check().filter(({ type }) => type === 'answer')
    if (call.cancelled) assert.deepEqual(answers, [], 'who has cancelled is not answered')
    else {
      assert.equal(answers.length, 1, 'answered once')
      const [answer] = answers as [Sent & { type: 'answer' }]
      assert.deepEqual([answer.to, answer.call, answer.body], [call.from, call.id, body], 'with its own answer')
    }
  }

  #cancel(call: ModelCall): void {
    if (call.state === 'running') call.cancelled = true
    else call.state = 'over'
    call.from.cancel(call.id)
    const cancels = this.#check().filter(({ type }) => type === 'cancel')
    assert.equal(cancels.length, call.state === 'running' ? 1 : 0)
    for (const cancel of cancels) assert.equal(cancel.to, call.server)
    // Once more changes nothing.
    call.from.cancel(call.id)
    assert.deepEqual(this.world.sent(), [])
  }

  #exit(process: Process, next: MemberState): void {
    const { place } = process.peer
    const aborted = new Set<ModelCall>()
    const exited = new Set<ModelCall>()
    this.#seated.delete(place)
    for (const call of this.#calls) {
      if (call.state === 'over') continue
      if (call.from === process) {
        if (call.state === 'running' && call.server !== process) {
          if (!call.cancelled) aborted.add(call)
          call.cancelled = true
        } else call.state = 'over'
      } else if (call.server === process) {
        call.server = undefined
        if (call.cancelled) call.state = 'over'
        else if (call.retries === 0) {
          exited.add(call)
          call.state = 'waiting'
        } else {
          call.retries--
          call.again = true
          call.state = 'waiting'
        }
      }
    }
    this.world.exit(process, next)
    const sent = this.#check()
    for (const { from, id } of exited) {
      const refusal = sent.find((one) => one.type === 'refusal' && one.to === from && one.call === id)
      assert.equal((refusal as { code?: string })?.code, 'ERR_HUB_MEMBER_EXITED')
    }
    const cancels = sent.filter(({ type }) => type === 'cancel')
    assert.equal(cancels.length, aborted.size, 'work for a caller that is gone is cancelled, once')
  }

  /** Answers that are nobody's, another member's, or given already. */
  #forge(process: Process, m: number): void {
    const others = this.#calls.filter(({ state, server }) => state === 'over' || server !== process)
    const call = others[m % Math.max(1, others.length)]
    const caller = call?.from.peer.address ?? 77
    const kind = [Kind.Response, Kind.Failure, Kind.Refusal][m % 3] as number
    const before = process.peer.protocolErrors
    process.send(callFrame(kind, caller, call?.id ?? m, '{}'))
    assert.equal(process.peer.protocolErrors, before + 1, 'a forged answer is counted')
    assert.deepEqual(this.world.sent(), [], 'and reaches nobody')
  }

  /** Takes what the hub sent into account, then looks at everything. */
  #check(): Sent[] {
    const sent = this.world.sent()
    const given = new Map<Process, Set<string>>()
    for (const message of sent) {
      if (message.type === 'task') {
        const call = this.#find(message.from, message.call)
        assert.equal(call.state, 'waiting', 'a task is given to one member at a time')
        assert.ok(this.#isFor(message.to, call), 'a task is given to whom it is for')
        assert.ok(message.to.ready, 'and who is ready')
        this.#checkOrder(call)
        call.state = 'running'
        call.server = message.to
        call.held = false
        const tasks = given.get(message.to) ?? new Set()
        given.set(message.to, tasks.add(call.task))
      } else if (message.type === 'refusal') {
        this.#refusals++
        const call = this.#find(message.to, message.call)
        assert.equal(call.state, 'waiting', 'who was refused was not served')
        this.#checkRefusal(call, message.code)
        call.state = 'over'
      }
    }
    for (const [process, tasks] of given) {
      for (const task of tasks) {
        const concurrency = process.handlers.get(task)
        assert.ok(concurrency !== undefined, 'a task is given to who serves it')
        assert.ok(this.#running(process, task) <= concurrency, 'concurrency is never exceeded')
      }
    }
    this.#checkRest()
    return sent
  }

  /** No call of the same audience that came earlier still waits. */
  #checkOrder(call: ModelCall): void {
    for (const other of this.#calls) {
      if (other.state !== 'waiting' || other.task !== call.task || other.audience !== call.audience) continue
      assert.ok(other.arrival >= call.arrival, `first come, first served: ${other.arrival} before ${call.arrival}`)
    }
  }

  #checkRefusal(call: ModelCall, code: string): void {
    if (code === 'ERR_HUB_OVERLOADED') {
      assert.equal(call.again, false, 'what was accepted is not refused')
      // The call itself waits in the model.
      assert.ok(this.#queued().length > this.#options.maxQueuedTasks, 'refused only when the queue is full')
    } else if (code === 'ERR_HUB_NO_HANDLER') {
      assert.equal(this.#mayBeServed(call), false, 'refused only when nobody may serve it')
    } else {
      assert.equal(code, 'ERR_HUB_MEMBER_EXITED')
    }
  }

  #checkRest(): void {
    const queued = this.#queued()
    for (const call of this.#calls) {
      if (call.state !== 'waiting') continue
      assert.ok(!call.from.gone, 'nothing waits for a caller that is gone')
      assert.ok(this.#mayBeServed(call), 'what nobody will serve does not wait')
      for (const process of this.#seated.values()) {
        assert.ok(!this.#hasRoom(process, call), `nothing waits for ${process.id} while it has room`)
      }
    }
    const { exchange } = this.world
    assert.equal(exchange.dispatcher.queued, queued.length, 'the queued are counted')
    for (const stats of exchange.stats()) {
      const place = exchange.directory.place(stats.id) as Place
      const process = this.#seated.get(place)
      assert.equal(stats.runningTasks, process ? this.#outstanding(process) : 0, 'the running are counted')
      assert.equal(stats.queuedTasks, queued.filter(({ audience }) => audience === place).length)
    }
  }

  #queued(): ModelCall[] {
    return this.#calls.filter(({ state, held }) => state === 'waiting' && !held)
  }

  #find(from: Process, id: number): ModelCall {
    const call = this.#calls.find((one) => one.from === from && one.id === id)
    assert.ok(call, 'nothing is sent for a call that was never made')
    return call
  }

  #isReady(place: Place): boolean {
    return this.#seated.get(place)?.ready === true
  }

  #isFor(process: Process, { audience }: ModelCall): boolean {
    if (audience === 'any') return true
    return audience === 'w' ? this.#role.get(process.peer.place) === 'w' : audience === process.peer.place
  }

  #hasRoom(process: Process, call: ModelCall): boolean {
    if (!process.ready || !this.#isFor(process, call)) return false
    const concurrency = process.handlers.get(call.task)
    return concurrency !== undefined && this.#running(process, call.task) < concurrency
  }

  #outstanding(process: Process): number {
    return this.#calls.filter(({ state, server }) => state === 'running' && server === process).length
  }

  #running(process: Process, task: string): number {
    return this.#calls.filter((call) => call.state === 'running' && call.server === process && call.task === task)
      .length
  }

  #mayBeServed(call: ModelCall): boolean {
    return this.#places.some((place) => {
      if (typeof call.audience !== 'string' && call.audience !== place) return false
      if (call.audience === 'w' && this.#role.get(place) !== 'w') return false
      const process = this.#seated.get(place)
      if (process?.ready) return process.handlers.has(call.task)
      if (place.state === 'stopped' || place.state === 'given-up') return false
      return this.#known.get(place)?.has(call.task) !== false
    })
  }
}
