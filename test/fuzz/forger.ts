import type { ToHub } from '#lib/relay/control.js'
import { encodeValue } from '#lib/wire/codec.js'
import { ATTACHED, callFrame, controlFrame, Kind, senderFrame, uint32, uint48 } from '#lib/wire/frame.js'
import { packetHeader, writeRooms } from '#lib/wire/packet.js'
import { eventFrame, manyFrame, requestFrame } from '../wire/frames.js'
import { anything, mutateBytes, mutateText } from './mutation.js'
import type { Random } from './random.js'

export const NAMES = ['news', 'work', 'wait', '__proto__', 'constructor', '', 'ü\ud800', 'x'.repeat(255)]
const ROOMS = ['r', 's', '__proto__', '', '\0number:1', '\0bigint:x', 'ü\ud800', 'socket']
const NAMESPACES = ['/', '/chat', '__proto__', '']
const PIDS = ['p1', 'p2', '__proto__', '']
const POSITIONS = ['0.0.0', 'g.1.1', 'zzzzz.zzzzzzzzzz.zzzzzzzzzz', 'h.0', '', '..', 'g.5.2"]', '__proto__']
const BODIES = [
  '',
  '1',
  '[1]',
  '{}',
  'null',
  '"token"',
  '{"code":"ERR_HUB_CLOSED","message":"m"}',
  '[',
  '\ud800',
  '{"e":5}',
]
const OPERATIONS = ['t', 'e', 'a', 'j', 'l', 'd', 'f', 's', 'x', '']
const VALUES = [
  1n,
  new Map([[1, { a: [new Date(0)] }]]),
  new Uint8Array(5),
  new Error('e', { cause: new TypeError('c') }),
]

/** What a batch is made of. */
export interface Forged {
  readonly text: string
  readonly attachments: Uint8Array[]
}

/** Makes frames that a member might send if it were out of its mind, or knew the wire very well. */
export class Forger {
  /** From about here on go the numbers of calls that are under way. */
  call = 0
  readonly #random: Random
  /** Addresses that mean somebody. */
  readonly #addresses: readonly number[]

  constructor(random: Random, addresses: readonly number[]) {
    this.#random = random
    this.#addresses = addresses
  }

  /** The frames of one batch, without its marker. */
  frames(): Forged {
    const random = this.#random
    const attachments: Uint8Array[] = []
    let text = ''
    for (let count = 1 + random.below(5); count > 0; count--) {
      const attached = random.chance(0.15)
      const frame = this.#frame(attached)
      text += random.chance(0.4) ? mutateText(random, frame) : frame
      if (attached || random.chance(0.02)) attachments.push(this.bytes())
    }
    if (random.chance(0.1)) text = mutateText(random, text)
    return { text, attachments }
  }

  /** An encoded value, or what is left of one. */
  bytes(): Uint8Array {
    const random = this.#random
    if (random.chance(0.05)) return new Uint8Array(0)
    const { bytes } = encodeValue(random.pick(VALUES), 'a value')
    if (!bytes) throw new Error('a value that JSON can carry')
    return random.chance(0.7) ? mutateBytes(random, bytes) : bytes
  }

  #frame(attached: boolean): string {
    const random = this.#random
    const flags = (attached ? ATTACHED : 0) | (random.chance(0.3) ? random.pick([0x10, 0x20, 0x40, 0x60, 0x70]) : 0)
    const address = this.#address()
    const body = random.chance(0.8) ? random.pick(BODIES) : JSON.stringify(anything(random))
    switch (random.below(10)) {
      case 0:
        if (random.chance(0.5)) {
          const bodies = Array.from({ length: random.below(4) }, () => random.pick(BODIES))
          const count = random.chance(0.8) ? bodies.length : random.below(256)
          return manyFrame(flags, address, random.pick(NAMES), count, `[${bodies}]`)
        }
        return eventFrame(flags, address, random.pick(NAMES), body)
      case 1:
        return requestFrame(flags, address, random.below(8), random.number(), random.below(4), random.pick(NAMES), body)
      case 2:
        return callFrame(random.pick([Kind.Response, Kind.Failure, Kind.Refusal]) | flags, address, this.#call(), body)
      case 3:
        return callFrame(random.pick([Kind.Cancel, Kind.Answer]) | flags, address, this.#call(), body)
      case 4:
        return senderFrame(address, random.below(3), random.pick(['alice', 'bob', 'primary', '']), undefined)
      case 5:
      case 6:
        return controlFrame(this.control(), attached ? ATTACHED : 0)
      case 7:
      case 8:
        return this.#packet(flags)
      default:
        return mutateText(random, 'anything at all')
    }
  }

  control(): string {
    const random = this.#random
    const message = random.pick(this.#messages()) as unknown as Record<string, unknown>
    if (random.chance(0.5)) {
      const name = random.pick(Object.keys(message))
      if (random.chance(0.2)) delete message[name]
      else message[name] = anything(random)
    }
    const text = random.chance(0.03) ? JSON.stringify(anything(random)) : JSON.stringify(message)
    return random.chance(0.1) ? mutateText(random, text) : text
  }

  #call(): number {
    return this.#random.chance(0.5) ? this.#random.below(8) : this.call + this.#random.below(4)
  }

  #address(): number {
    return this.#random.chance(0.8) ? this.#random.pick(this.#addresses) : this.#random.number() & 0xffffff
  }

  #packet(flags: number): string {
    const random = this.#random
    const isRecoverable = (flags & 0x10) !== 0
    const sequence = () => uint48(random.chance(0.7) ? 0 : random.number())
    const except = writeRooms(random.chance(0.3) ? [random.pick(ROOMS)] : [])
    const recovery = isRecoverable ? sequence() + sequence() + uint32(except.length) + except : ''
    const rooms = writeRooms(Array.from({ length: random.below(3) }, () => random.pick(ROOMS)))
    const options = random.chance(0.3) ? JSON.stringify(anything(random)) : ''
    const body = random.pick(OPERATIONS) + uint32(options.length) + options + random.pick(BODIES)
    const call = random.chance(0.7) ? 0 : random.below(8)
    const scope = random.chance(0.9) ? 1 + random.below(4) : random.below(256)
    return packetHeader(flags, call, scope, random.pick(NAMESPACES), rooms, body.length, recovery) + body
  }

  /** One of each kind, as they would be right. */
  #messages(): ToHub[] {
    const random = this.#random
    const nsp = random.pick(NAMESPACES)
    const pid = random.pick(PIDS)
    const name = random.pick(NAMES)
    const at = random.pick(POSITIONS)
    const n = random.below(8)
    const rooms = [random.pick(ROOMS), random.pick(ROOMS)]
    const data = { text: random.pick(BODIES) }
    const times = { session: random.number(), packets: random.number() }
    return [
      { t: 'hello', protocol: 1, version: '0.1.0' },
      { t: 'listen', name, on: random.chance(0.7) },
      { t: 'any', on: random.chance(0.5) },
      { t: 'handle', name, concurrency: random.chance(0.5) ? null : 1 + random.below(3) },
      { t: 'unhandle', name },
      { t: 'ready' },
      { t: 'drained', n, to: [this.#address()] },
      { t: 'pong' },
      random.chance(0.5) ? { t: 'attach', nsp } : { t: 'attach', nsp, recovery: times },
      { t: 'detach', nsp },
      { t: 'rooms', nsp, join: rooms },
      { t: 'rooms', nsp, sockets: random.chance(0.5), leave: rooms },
      { t: 'admit', nsp, to: random.chance(0.5) ? null : rooms, rooms, frame: this.#packet(0x40) },
      { t: 'admit', nsp, to: null, rooms, frame: this.#packet(random.pick([0, 0x10, 0x20, ATTACHED])) },
      ...(random.chance(0.1) ? [{ t: 'leave' } as const] : []),
      { t: 'session', nsp, pid, sid: random.pick(ROOMS), at, rooms, data },
      { t: 'session-rooms', nsp, pid, at, join: rooms, fresh: random.chance(0.5) },
      { t: 'session-rooms', nsp, pid, at, leave: rooms },
      { t: 'session-away', nsp, pid, data },
      { t: 'session-end', nsp, pid },
      { t: 'restore', nsp, n, pid, offset: at },
      { t: 'move', to: n % 64, n, sockets: [{ nsp, pid, rooms: [nsp] }], state: data },
      { t: 'pass', to: n % 64, n, op: 'write', data },
      { t: 'take', to: n % 64, n },
      { t: 'unmoved', count: 1 },
      { t: 'serve', socket: random.pick(['/tmp/nowhere.sock', '/etc/passwd', '']), tls: random.chance(0.5) },
      { t: 'unserve' },
      { t: 'connections', taken: random.below(9), open: random.below(9) },
      { t: 'route', to: this.#address() },
    ]
  }
}
