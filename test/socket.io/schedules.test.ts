import fc from 'fast-check'
import type { Socket } from 'socket.io'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { RecoveryLimits } from '#lib/relay/recovery-log.js'
import { hasFlag, RECOVERABLE } from '#lib/wire/frame.js'
import { until } from '../conditions.js'
import { Connection, turn, type Worker, World } from './world.js'

const WORKERS = 3
const CLIENTS = 3
const AMPLE = { maxBytes: 1e9, maxPackets: 1e6, maxSessions: 1e6 }
/** Some clients come back too late, and connect anew. */
const SCARCE = { maxBytes: 5000, maxPackets: 6, maxSessions: 2 }
const EVERYBODY = '*'

/** Whether a client should see a message; undefined where what happened at the same time decides. */
type Verdict = boolean | undefined

interface Message {
  readonly n: number
  readonly from: Worker
  readonly at: number
  readonly to: readonly string[]
  readonly except: readonly string[]
  readonly local: boolean
  readonly whole: boolean
}

/** What happened to a client's place in a room. */
interface Change {
  readonly at: number
  readonly is: boolean
  /** When the join had returned. */
  settled: number
}

/** One session of a client: from a connection that is no recovery to the next such. */
class Session {
  readonly seen: number[] = []
  readonly changes = new Map<string, Change[]>()
  /** Rooms of which it is not known what the hub got to hear. */
  readonly doubtful = new Set<string>()
  /** Where its socket was, and since when; undefined: nowhere, and everything is as it was. */
  readonly homes: { at: number; worker: Worker | undefined; last: Worker }[] = []
  /** When its client asked for it, from when to when. */
  readonly moves: { from: number; to: number }[] = []
  over = false

  change(room: string, is: boolean, at: number, settled = at): Change {
    const change = { at, is, settled }
    const changes = this.changes.get(room) ?? []
    changes.push(change)
    this.changes.set(room, changes)
    return change
  }

  isIn(room: string, at: number): boolean {
    return this.changes.get(room)?.findLast((change) => change.at <= at)?.is ?? false
  }

  /** Whether it was in the room all the time, or never, between those times. */
  was(room: string, from: number, to: number): Verdict {
    if (this.doubtful.has(room)) return undefined
    const was = this.isIn(room, from)
    for (const { at, settled } of this.changes.get(room) ?? []) {
      if ((at > from && at <= to) || (at <= from && settled > from)) return undefined
    }
    return was
  }
}

function and(one: Verdict, other: Verdict): Verdict {
  return one === false || other === false ? false : one && other
}

function or(verdicts: Verdict[]): Verdict {
  return verdicts.includes(true) ? true : verdicts.includes(undefined) ? undefined : false
}

function not(verdict: Verdict): Verdict {
  return verdict === undefined ? undefined : !verdict
}

class Client {
  /** By their names, which the client learns later, or never. */
  readonly sessions = new Map<string, Session>()
  session: Session | undefined
  connection: Connection | undefined
  worker: Worker | undefined
  /** What its own library keeps. */
  pid: string | undefined
  offset: string | undefined
  sid: string | undefined
  /** The server does not know yet that its connection is lost. */
  dark = false
  connecting = false

  get socket(): Socket | undefined {
    return this.sid === undefined || this.connecting ? undefined : this.worker?.nsp.sockets.get(this.sid)
  }
}

class Run {
  readonly world: World
  readonly clients = Array.from({ length: CLIENTS }, () => new Client())
  readonly messages: Message[] = []
  recovered = 0

  constructor(limits: RecoveryLimits, skipMiddlewares: boolean) {
    this.world = new World(limits, skipMiddlewares)
    for (let i = 0; i < WORKERS; i++) this.world.start(i)
    // One that only sends, and knows nothing of recovery.
    this.world.start(WORKERS, false)
  }

  get now(): number {
    return this.world.now
  }

  connect(client: Client, worker: Worker): void {
    if (client.connection) return
    const connection = new Connection()
    client.connection = connection
    client.worker = worker
    client.connecting = true
    const { pid, offset } = client
    const move = { from: this.now, to: Number.POSITIVE_INFINITY }
    client.sessions.get(pid ?? '')?.moves.push(move)
    const auth = pid === undefined ? {} : offset === undefined ? { pid } : { pid, offset }
    ;(worker.nsp as unknown as { _add(c: Connection, auth: object, fn: (socket: Socket) => void): void })._add(
      connection,
      auth,
      (socket) => {
        client.connecting = false
        client.sid = socket.id
        move.to = this.now
        const name = (socket as unknown as { pid: string }).pid
        if (client.session) client.session.over = true
        if (socket.recovered) {
          this.recovered++
          client.session = client.sessions.get(name) as Session
          client.session.over = false
        } else {
          client.session = new Session()
          client.sessions.set(name, client.session)
          client.session.change(EVERYBODY, true, this.now)
          client.session.change(socket.id, true, this.now)
        }
        client.session.homes.push({ at: this.now, worker, last: worker })
      },
    )
  }

  read(client: Client, count: number): void {
    for (let i = 0; i < count; i++) {
      const packet = client.connection?.pipe.shift()
      if (!packet) return
      if (packet.type === 0) client.pid = (packet.data as { pid: string }).pid
      if (packet.type !== 2) continue
      const [, n, offset] = packet.data as [string, number, string]
      client.offset = offset
      client.session?.seen.push(n)
    }
  }

  /** The connection is lost. What is in the pipe is lost with it. */
  lose(client: Client): void {
    if (!client.connection) return
    client.connection.pipe.length = 0
    client.connection.conn.readyState = 'closed'
    client.connection = undefined
    client.dark = true
  }

  /** The server notices. */
  notice(client: Client): void {
    if (!client.dark) return
    const { socket, worker } = client
    client.dark = false
    client.connecting = false
    if (!socket || !worker) return
    ;(socket as unknown as { _onclose(reason: string): void })._onclose('transport close')
    client.session?.homes.push({ at: this.now, worker: undefined, last: worker })
  }

  join(client: Client, room: string, on: boolean): void {
    const { socket, session } = client
    if (!socket || !session || session.isIn(room, this.now) === on) return
    if (!on) {
      socket.leave(room)
      session.change(room, false, this.now)
      return
    }
    const joined = socket.join(room)
    const change = session.change(room, true, this.now, Number.POSITIVE_INFINITY)
    const settle = () => {
      change.settled = this.now
    }
    if (joined) joined.then(settle)
    else settle()
  }

  emit(worker: Worker, to: string[], except: string[], local: boolean): void {
    const n = this.messages.length
    const whole = to.length === 0
    this.messages.push({ n, from: worker, at: this.now, to: whole ? [EVERYBODY] : to, except, local, whole })
    this.world.copies.set(n, 1)
    let operator = local ? worker.nsp.local : worker.nsp.to([])
    if (!whole) operator = operator.to(to)
    operator.except(except).emit('m', n)
    if (!worker.up.some((item) => 'frame' in item)) this.world.passed(n)
  }

  kill(index: number): void {
    const worker = this.world.workers[index] as Worker
    // What the hub has not heard of, nobody knows.
    for (const item of worker.up) {
      if (!('control' in item) || item.control.t !== 'session-rooms') continue
      const { pid, join = [], leave = [] } = item.control
      for (const { sessions } of this.clients) {
        for (const room of [...join, ...leave]) sessions.get(pid)?.doubtful.add(room)
      }
    }
    for (const client of this.clients) {
      if (client.worker !== worker) continue
      this.lose(client)
      client.dark = false
      client.connecting = false
      client.worker = undefined
      client.session?.homes.push({ at: this.now, worker: undefined, last: worker })
    }
    for (const { n, from } of this.messages) if (from === worker && !this.world.done.has(n)) this.world.done.set(n, -1)
    worker.die()
    this.world.start(index)
  }

  verdict(session: Session, { n, from, at, to, except, local, whole }: Message): Verdict {
    const done = this.world.done.get(n)
    // It was lost with its sender: who was there may have got it.
    if (done === undefined || done < 0) return undefined
    const home = session.homes.findLast((home) => home.at <= at)
    const moved =
      session.homes.some((home) => home.at > at && home.at <= done) ||
      session.moves.some(({ from, to }) => from <= done && to >= at)
    const isHome = home?.worker === from
    // Its own worker delivers at once, so only that moment counts.
    const end = isHome ? at : done
    const was = (room: string) => {
      if (isHome && !session.doubtful.has(room)) return session.isIn(room, at)
      return session.was(room, at, end)
    }
    let verdict = or(to.map(was))
    if (whole && !isHome && !session.isIn(EVERYBODY, at)) verdict = session.isIn(EVERYBODY, done) ? undefined : false
    verdict = and(verdict, not(or(except.map(was))))
    if (!local) return verdict
    if (home === undefined) return verdict && undefined
    if (isHome) return verdict
    // While it is away, and for a moment when it moves, its last home is its home.
    if (home.last !== from && !moved) return and(verdict, false)
    return verdict === false ? false : moved || home.last !== from ? undefined : verdict
  }

  check(): void {
    for (const client of this.clients) {
      for (const session of client.sessions.values()) {
        const { seen } = session
        assert.is(new Set(seen).size, seen.length, `seen twice: ${seen}`)
        const last = new Map<Worker, number>()
        for (const n of seen) {
          const { from } = this.messages[n] as Message
          assert.ok(n > (last.get(from) ?? -1), `out of order: ${seen}`)
          last.set(from, n)
        }
        for (const message of this.messages) {
          const verdict = this.verdict(session, message)
          const did = seen.includes(message.n)
          if (did) assert.is.not(verdict, false, `${message.n} was not for it: ${seen}`)
          else if (!session.over && session.seen.length > 0 && client.session === session) {
            assert.is.not(verdict, true, `${message.n} is missing: ${seen}`)
          }
        }
      }
    }
  }
}

const worker = fc.nat(WORKERS - 1)
const client = fc.nat(CLIENTS - 1)
const count = fc.integer({ min: 1, max: 6 })
const room = fc.constantFrom('r', 's')
const alone = room.map((room): string[] => [room])
const target = fc.oneof(
  { weight: 3, arbitrary: fc.constant<string[]>([]) },
  { weight: 3, arbitrary: alone },
  fc.constant<string[]>(['r', 's']),
)
const except = fc.oneof({ weight: 4, arbitrary: fc.constant<string[]>([]) }, alone)

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('emit' as const),
      worker: fc.nat(WORKERS),
      to: target,
      except,
      local: fc.nat(6).map((n) => n === 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('direct' as const), worker, client }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('join' as const, 'leave' as const), client, room }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('up' as const), worker: fc.nat(WORKERS), count }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('down' as const), worker: fc.nat(WORKERS), count }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('read' as const), client, count }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('lose' as const, 'notice' as const), client }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('connect' as const), client, worker }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), worker, count }) },
)

async function play(
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
  limits: RecoveryLimits,
  skip: boolean,
) {
  const run = new Run(limits, skip)
  const { world, clients } = run
  const workerAt = (index: number) => world.workers[index] as Worker
  await world.settle()
  // Everybody begins with a message, and so with an offset.
  for (const [i, one] of clients.entries()) run.connect(one, workerAt(i % WORKERS))
  await world.settle()
  run.emit(workerAt(0), [], [], false)
  await world.settle()
  for (const one of clients) run.read(one, Number.POSITIVE_INFINITY)
  for (const one of steps) {
    world.now++
    switch (one.do) {
      case 'emit':
        // Who holds no socket has nobody to send to locally.
        run.emit(workerAt(one.worker), one.to, one.except, one.local && one.worker < WORKERS)
        break
      case 'direct': {
        const { sid } = clients[one.client] as Client
        if (sid !== undefined) run.emit(workerAt(one.worker), [sid], [], false)
        break
      }
      case 'join':
      case 'leave':
        run.join(clients[one.client] as Client, one.room, one.do === 'join')
        break
      case 'up':
        for (let i = 0; i < one.count; i++) workerAt(one.worker).sendOne()
        break
      case 'down':
        for (let i = 0; i < one.count; i++) workerAt(one.worker).receiveOne()
        break
      case 'read':
        run.read(clients[one.client] as Client, one.count)
        break
      case 'lose':
        run.lose(clients[one.client] as Client)
        break
      case 'notice':
        run.notice(clients[one.client] as Client)
        break
      case 'connect': {
        const lost = clients[one.client] as Client
        // Usually it takes longer to come back than to be missed.
        run.notice(lost)
        run.connect(lost, workerAt(one.worker))
        break
      }
      case 'settle':
        await world.settle()
        break
      case 'kill':
        for (let i = 0; i < one.count; i++) workerAt(one.worker).sendOne()
        run.kill(one.worker)
    }
    await turn()
  }
  world.now++
  await world.settle()
  for (const one of clients) {
    run.notice(one)
    await world.settle()
    run.connect(one, workerAt(0))
  }
  world.now++
  await world.settle()
  for (const one of clients) run.read(one, Number.POSITIVE_INFINITY)
  run.check()
  world.close()
  return run
}

for (const [how, limits, skip] of [
  ['at once', AMPLE, true],
  ['through the middlewares', AMPLE, false],
  ['though little is kept', SCARCE, true],
] as const) {
  test(`whatever happens, clients that come back ${how} see each message once and in order`, async () => {
    let recovered = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 90, size: 'max' }), async (steps) => {
        recovered += (await play(steps, limits, skip)).recovered
      }),
      { numRuns: 1000, includeErrorInReport: true },
    )
    assert.ok(recovered > 300, `only ${recovered} recovered`)
  })
}

test('an attempt whose connection fails on the way gives the session back', async () => {
  for (const skip of [true, false]) {
    const run = new Run(AMPLE, skip)
    const { world } = run
    const client = run.clients[0] as Client
    const workers = world.workers as [Worker, Worker, Worker]
    await world.settle()
    run.connect(client, workers[0])
    await world.settle()
    run.emit(workers[1], [], [], false)
    await world.settle()
    run.read(client, 10)
    run.lose(client)
    run.notice(client)
    await world.settle()
    run.emit(workers[1], [], [], false)
    run.connect(client, workers[1])
    run.lose(client)
    await world.settle()
    assert.is(world.lobby.log.stats().away, 1, 'it is away again')
    run.emit(workers[0], [], [], false)
    run.connect(client, workers[2])
    await world.settle()
    run.read(client, 10)
    assert.equal(client.session?.seen, [0, 1, 2])
    // The worker that had it for a moment holds nothing of it.
    const before = world.copies.get(2)
    assert.is(before, 0)
    const { sid } = client
    run.emit(workers[0], [sid as string], [], false)
    workers[0].sendOne()
    assert.is(workers[1].down.length, 0)
    assert.is(workers[2].down.length, 1)
    run.lose(client)
    run.notice(client)
    await world.settle()
    run.emit(workers[0], [], [], false)
    workers[0].sendOne()
    assert.is(workers[2].down.length, 0, 'nor does the last one, when it is gone')
    world.close()
  }
})

test('what was sent to a room before the client was in it is not for it, whoever was there first', async () => {
  const run = new Run(AMPLE, true)
  const { world } = run
  const [client, other] = run.clients as [Client, Client]
  const workers = world.workers as [Worker, Worker, Worker]
  await world.settle()
  run.connect(client, workers[0])
  run.connect(other, workers[0])
  await world.settle()
  run.emit(workers[0], [], [], false)
  await world.settle()
  run.read(client, 10)
  // Nobody is there, so it goes nowhere, and the worker of the client hears nothing of it.
  run.emit(workers[1], ['r'], [], false)
  await world.settle()
  run.join(other, 'r', true)
  await world.settle()
  run.join(client, 'r', true)
  await world.settle()
  run.emit(workers[1], ['s'], [], false)
  await world.settle()
  workers[1].nsp.in(client.sid as string).socketsJoin('s')
  run.emit(workers[1], ['s'], [], false)
  await world.settle()
  run.lose(client)
  run.notice(client)
  await world.settle()
  run.connect(client, workers[2])
  await world.settle()
  run.read(client, 10)
  assert.equal(client.session?.seen, [0, 3])
  world.close()
})

test('a join that has returned is known to the hub, whoever joined the room a moment before', async () => {
  const run = new Run(AMPLE, true)
  const { world } = run
  const [first, second] = run.clients as [Client, Client]
  const [sender, home] = world.workers as [Worker, Worker]
  await world.settle()
  for (const client of [first, second]) run.connect(client, home)
  await world.settle()
  run.emit(sender, [], [], false)
  await world.settle()
  for (const client of [first, second]) run.read(client, 10)
  run.join(first, 'r', true)
  await turn()
  run.join(second, 'r', true)
  await turn()
  // The hub hears of the first one's join, and the worker that it has; the second one's is on its way until it has returned.
  const joined = second.session?.changes.get('r')?.[0] as Change
  while (joined.settled === Number.POSITIVE_INFINITY) {
    assert.ok(home.receiveOne() || home.sendOne(), 'the join returns')
    await turn()
  }
  run.emit(sender, ['r'], [], false)
  run.lose(second)
  await world.settle()
  run.notice(second)
  await world.settle()
  run.connect(second, sender)
  await world.settle()
  run.read(second, 10)
  assert.equal(second.session?.seen, [0, 1])
  world.close()
})

/** A client that is back at another worker, which has asked for its session, before the hub knows that it was away. */
async function early() {
  const run = new Run(AMPLE, true)
  const { world } = run
  const client = run.clients[0] as Client
  const [first, second] = world.workers as [Worker, Worker]
  await world.settle()
  run.connect(client, first)
  await world.settle()
  run.emit(second, [], [], false)
  await world.settle()
  run.read(client, 10)
  const { session, sid } = client
  const socket = client.socket as Socket
  run.lose(client)
  run.emit(second, [], [], false)
  run.connect(client, second)
  await turn()
  while (second.sendOne());
  // What its worker sends meanwhile, it gets once, too.
  run.emit(second, [], [], false)
  while (second.sendOne());
  run.emit(second, [], [], false)
  await turn()
  assert.ok(client.connecting, 'nothing is decided')
  const notice = () => (socket as unknown as { _onclose(reason: string): void })._onclose('transport close')
  const end = async () => {
    await world.settle()
    run.read(client, 10)
    run.check()
    world.close()
    return client.session === session && client.sid === sid
  }
  return { run, world, client, notice, end }
}

test('a client that is back before its worker has told that it was away goes on', async () => {
  const { client, notice, end } = await early()
  notice()
  assert.ok(await end())
  assert.equal(client.session?.seen, [0, 1, 2, 3])
})

test('and so does one whose worker has died', async () => {
  const { run, client, world, end } = await early()
  ;(world.workers[0] as Worker).die()
  world.start(0)
  await world.settle()
  run.emit(world.workers[0] as Worker, [], [], false)
  assert.ok(await end())
  assert.equal(client.session?.seen, [0, 1, 2, 3, 4])
})

test('one whose worker still has its connection connects anew', async () => {
  const { client, end } = await early()
  assert.not(await end())
  assert.equal(client.session?.seen, [])
})

test('and so does one whose worker gives no sign of life', async () => {
  const { client, world, end } = await early()
  const [, second] = world.workers as [Worker, Worker]
  await until(() => {
    while (second.receiveOne() || second.sendOne());
    return !client.connecting
  }, 'it is connected')
  assert.not(await end())
})

test('a client hears that it is connected when the hub knows it, and one that is refused leaves nothing behind', async () => {
  const world = new World(AMPLE)
  const [first, second] = [world.start(0, false), world.start(1, false)]
  await world.settle()
  const ids: string[] = []
  const refuse = (socket: Socket, next: (error?: Error) => void) => {
    ids.push(socket.id)
    next(ids.length > 1 ? new Error('no') : undefined)
  }
  first.nsp.use(refuse)
  const add = () => {
    const connection = new Connection()
    ;(first.nsp as unknown as { _add(c: Connection, auth: object): void })._add(connection, {})
    return connection
  }
  const emit = () => {
    world.copies.set(0, 1)
    second.nsp.to(ids.at(-1) as string).emit('m', 0)
    second.sendOne()
  }
  const welcome = add()
  await turn()
  assert.equal(welcome.pipe, [])
  while (first.sendOne());
  await turn()
  assert.equal(welcome.pipe, [])
  while (first.receiveOne());
  await turn()
  assert.equal(
    welcome.pipe.map(({ type }) => type),
    [0],
  )
  await world.settle()
  emit()
  assert.is(first.down.length, 1)
  await world.settle()

  const refused = add()
  await world.settle()
  assert.equal(
    refused.pipe.map(({ type }) => type),
    [4],
  )
  emit()
  assert.is(first.down.length, 0)
  world.close()
})

test('where recovery is off, members hear so, and send nothing for it', async () => {
  const world = new World(AMPLE)
  for (let i = 0; i < 2; i++) world.start(i, false)
  await world.settle()
  const connection = new Connection()
  const [first, second] = world.workers as [Worker, Worker]
  ;(first.nsp as unknown as { _add(c: Connection, auth: object): void })._add(connection, { pid: 'p', offset: '1.2.3' })
  await world.settle()
  world.copies.set(0, 2)
  second.nsp.emit('m', 0)
  first.nsp.local.emit('m', 0)
  assert.equal(
    [...first.up, ...second.up].map((item) => 'frame' in item && hasFlag(item.frame, 0, RECOVERABLE)),
    [false],
  )
  await world.settle()
  assert.equal(
    connection.pipe.slice(1).map(({ data }) => data),
    [
      ['m', 0],
      ['m', 0],
    ],
  )
  assert.not(world.lobby.log.active)
  world.close()
})

test.run()
