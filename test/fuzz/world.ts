import assert from 'node:assert/strict'
import type { TaskContext } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { type Namespace, Server } from 'socket.io'
import { Exchange } from '#lib/exchange.js'
import { Router } from '#lib/http/router.js'
import { Member } from '#lib/member.js'
import { PROTOCOL } from '#lib/relay/control.js'
import type { Peer } from '#lib/relay/peer.js'
import { Validator } from '#lib/schema.js'
import { adapterClass } from '#lib/socket.io/private.js'
import { VERSION } from '#lib/version.js'
import { type Batch, MARKER } from '#lib/wire/batch.js'
import { controlFrame } from '#lib/wire/frame.js'
import { Scope } from '#lib/wire/packet.js'
import type { Handle, Transport } from '#lib/wire/transport.js'
import { HOOKS, OPTIONS } from '../relay/fakes.js'
import { Forger } from './forger.js'
import type { Random } from './random.js'

const MALLORY = 'mallory'
/** A namespace of Socket.IO that only honest members have. */
const HONEST = '/honest'
const InMemory = adapterClass(new Server())
const never = Number.POSITIVE_INFINITY

/** What the hub must keep to, however it is used. */
const BOUNDS = {
  maxHeldBytes: 1 << 16,
  maxQueuedTasks: 50,
  recovery: { maxBytes: 1e5, maxPackets: 100, maxSessions: 10 },
}

/** Honest traffic that is under way. */
interface Asked {
  answers: Promise<unknown[]>
  /** To a question of Socket.IO; true at its end. */
  replies: (string | true)[]
  /** How many had arrived before, and how many are to come. */
  events: number
  expected: number
}

/**
 * A whole hub in one process, with two honest members that have Socket.IO servers, and one whose batches are forged. The
 * honest ones see to it that nobody speaks in their names, and that what they ask of each other is answered.
 */
export class World {
  readonly #random: Random
  readonly #exchange: Exchange
  readonly #router: Router
  readonly #alice: Member
  readonly #bob: Member
  readonly #servers: Server[] = []
  readonly #queue: (() => void)[] = []
  readonly #mallory
  readonly #addresses: readonly number[]
  /** What only honest members know. */
  #token = ''
  #events = 0
  #asked = 0
  #release: (() => void)[] = []
  #handles = 0
  #closedHandles = 0
  #offences = 0
  refused = 0

  constructor(random: Random) {
    this.#random = random
    const exchange = new Exchange(
      { ...OPTIONS, gracePeriod: never, slowAfter: never, highWaterMark: 1 << 16, maxQueueBytes: 1 << 20, ...BOUNDS },
      {
        ...HOOKS,
        http: (peer, message) => router.http(peer, message),
        handle: (peer, message, handle, bytes) => router.handle(peer, message, handle, bytes),
        opened: (peer) => router.opened(peer),
        shut: (peer) => router.shut(peer),
        gone: (peer) => router.gone(peer),
      },
    )
    const router = new Router((peer, message) => exchange.tell(peer, message))
    this.#exchange = exchange
    this.#router = router
    // Never ready: what is sent to everybody is held for it.
    const late = exchange.addPlace('late', 'crew')
    this.#alice = this.#member('alice')
    this.#bob = this.#member('bob')
    this.#mallory = exchange.addPlace(MALLORY, 'crew')
    this.#addresses = [0, 1, 2, 3, late.address, this.#mallory.address]
    for (const { id } of [this.#alice, this.#bob]) {
      const place = exchange.directory.place(id)
      if (place?.peer) this.#addresses = [...this.#addresses, place.address, place.peer.address]
    }
  }

  #member(id: string): Member {
    const exchange = this.#exchange
    const place = exchange.addPlace(id, 'crew')
    const toMember: Transport = this.#transport((batch) => member.receive(batch))
    const peer = exchange.enter(place, 1, toMember)
    const member = new Member({
      transport: this.#transport((batch) => exchange.receive(peer, () => batch)),
      validator: new Validator(undefined),
      onStop: () => assert.fail(`${id} was told to stop`),
    })
    return member
  }

  #transport(receive: (batch: Batch) => void): Transport {
    return {
      send: (batch, done) => {
        this.#queue.push(() => {
          done(null)
          receive(batch)
        })
      },
      sendHandle: () => assert.fail('nobody sends handles here'),
    }
  }

  async open(): Promise<void> {
    for (const [member, place] of [
      [this.#alice, 'alice'],
      [this.#bob, 'bob'],
    ] as const) {
      const joining = member.join()
      await this.#pump()
      await joining
      member.onAny((_event, args, { from }) => {
        if (from.id === MALLORY) return
        assert.equal(args[0], this.#token, `an event that ${from.id} did not send, for ${place}`)
        this.#events++
      })
      member.on('news', () => {})
      member.handle('work', (input: unknown) => input)
      member.handle('wait', (input: unknown, { from }: TaskContext) => {
        if (from.id === MALLORY) return input
        return new Promise((resolve) => this.#release.push(() => resolve(input)))
      })
      // Socket.IO's own memory for recovery would leave a timer behind, and with it all of this.
      const adapter = InMemory as unknown as (nsp: Namespace) => Namespace['adapter']
      const io = attachSocketIo(new Server({ adapter, connectionStateRecovery: {} }), member)
      this.#servers.push(io)
      member.packets.tellRooms('/', { sockets: true, join: ['r', '__proto__', '\0number:1'] })
      io.on('forged', () => {})
      member.packets.attach(HONEST, ({ answer }) => answer?.({ text: this.#token, bytes: undefined }, true))
      member.ready()
      await this.#pump()
    }
  }

  /** `count` batches of one process of the member that forges, each followed to its end. */
  async round(count: number, onInput: () => void): Promise<void> {
    const exchange = this.#exchange
    const place = this.#mallory
    const random = this.#random
    this.#offences = 0
    const peer = exchange.enter(place, place.incarnation + 1, {
      send: (batch, done) => {
        this.#offences += batch.text.split('"t":"offence"').length - 1
        this.#queue.push(() => done(null))
      },
      sendHandle: () => assert.fail('nobody sends handles here'),
    })
    const hello = controlFrame(JSON.stringify({ t: 'hello', protocol: PROTOCOL, version: VERSION }))
    exchange.receive(peer, () => ({ text: `${MARKER}${hello}${controlFrame('{"t":"ready"}')}`, attachments: [] }))
    exchange.update(place, 'ready', 1)
    const forger = new Forger(random, [...this.#addresses, peer.address])
    for (let left = count; left > 0; ) {
      // Alice asks twice each time, and Bob once.
      forger.call = this.#asked * (1 + random.below(2))
      const asked = this.#ask()
      await this.#pump()
      for (let some = Math.min(left, 32); some > 0; some--, left--) {
        const { text, attachments } = forger.frames()
        const handle = random.chance(0.01) ? this.#handle() : undefined
        exchange.receive(peer, () => ({ text: MARKER + text, attachments }), handle)
        await this.#pump()
        onInput()
      }
      await this.#check(asked)
    }
    this.refused += peer.protocolErrors
    assert.ok(this.#offences <= 1, `told of ${this.#offences} offences`)
    this.#end(peer)
    await this.#pump()
  }

  /** To be done while forged batches come. */
  #ask(): Asked {
    this.#token = `token ${this.#random.next()} ${this.#random.next()}`
    this.#asked++
    const answers = Promise.all([
      this.#alice.to('bob').timeout(never).request('wait', this.#token),
      this.#bob.to('alice').timeout(never).request('wait', this.#token),
      this.#alice.to('bob').timeout(never).request('work', this.#token),
    ])
    // What fails is looked at later.
    answers.catch(() => {})
    const replies: Asked['replies'] = []
    const body = { text: '', bytes: undefined }
    this.#alice.packets.ask(
      HONEST,
      { scope: Scope.Servers },
      body,
      (text) => replies.push(text),
      () => replies.push(true),
    )
    const events = this.#events
    this.#alice.broadcast('news', this.#token)
    this.#bob.to('alice').emit('news', this.#token)
    return { answers, replies, events, expected: 2 }
  }

  async #check({ answers, replies, events, expected }: Asked): Promise<void> {
    for (const release of this.#release.splice(0)) release()
    await this.#pump()
    let answered: unknown[] | undefined
    answers.then((values) => {
      answered = values
    })
    await this.#pump()
    if (!answered) answered = await Promise.race([answers, Promise.resolve(undefined)])
    assert.deepEqual(answered, [this.#token, this.#token, this.#token], 'honest calls are answered, by whom they asked')
    assert.deepEqual(replies, [this.#token, true], 'an honest question is answered by whom it was for, once')
    assert.equal(this.#events - events, expected, 'honest events arrive, once')
    assert.equal(this.#handles, this.#closedHandles, 'no handle is left open')
    const recovery = this.#exchange.recoveryStats()
    assert.ok(recovery && recovery.bytes >= 0 && recovery.bytes <= BOUNDS.recovery.maxBytes, `${recovery?.bytes} bytes`)
    assert.ok(recovery.packets <= BOUNDS.recovery.maxPackets && recovery.away <= BOUNDS.recovery.maxSessions)
    assert.ok(this.#exchange.dispatcher.queued <= BOUNDS.maxQueuedTasks)
    for (const { id, queuedBytes, protocolErrors } of this.#exchange.stats()) {
      assert.ok(queuedBytes < 1 << 20, `${queuedBytes} bytes wait for ${id}`)
      if (id !== MALLORY) assert.equal(protocolErrors, 0, `${id} is taken for a forger`)
    }
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
  }

  #handle(): Handle {
    this.#handles++
    return {
      close: () => {
        this.#closedHandles++
      },
    }
  }

  #end(peer: Peer): void {
    this.#exchange.leave(peer, { code: 1, signal: null })
    this.#exchange.update(this.#mallory, 'starting', undefined)
    assert.ok(this.#router.stats().workers.length <= 2, 'a process that is gone serves nothing')
  }

  /** Carries what was sent, and what that leads to, until nothing more comes of it. */
  async #pump(): Promise<void> {
    await undefined
    await undefined
    for (let idle = 0; idle < 3; ) {
      const carried = this.#queue.splice(0)
      for (const carry of carried) carry()
      idle = carried.length === 0 ? idle + 1 : 0
      await undefined
    }
  }

  close(): void {
    for (const io of this.#servers) io.of('/').adapter.close()
    this.#alice.finish()
    this.#bob.finish()
    this.#exchange.close()
    this.#router.end()
  }
}
