import type { Namespace } from 'socket.io'
import type { Origin } from '../packets.js'
import { type Body, decodeArguments } from '../wire/codec.js'
import { EVENT, listOf, Op, type ReadBody, readList, writeBody } from './body.js'
import { matching } from './matching.js'
import { type Encoded, encode, hasDefaultParser, packetOptions, write } from './private.js'
import type { Shadow, Shadows } from './shadows.js'
import type { Adapter, BroadcastOptions, Packet } from './types.js'

/**
 * Writes events to the sockets of this process. A packet is encoded once, by its sender; where it is one text it
 * travels so, and is written by all others as it came. With recovery on, each process adds an `offset` for its clients
 * as the last argument: how far they have got.
 */
export class Outlet {
  readonly #adapter: Adapter
  readonly #nsp: Namespace
  /** What precedes the JSON of an event in its text. */
  readonly #prefix: string
  /** Whether texts are what every server can write. */
  readonly #plain: boolean
  /** The in-memory adapter's `broadcast`. */
  readonly #inMemory: (packet: Packet, opts: BroadcastOptions) => void
  readonly #shadows: Shadows

  constructor(adapter: Adapter, shadows: Shadows, inMemory: (packet: Packet, opts: BroadcastOptions) => void) {
    this.#shadows = shadows
    this.#adapter = adapter
    this.#nsp = adapter.nsp
    this.#prefix = this.#nsp.name === '/' ? '2' : `2${this.#nsp.name},`
    this.#plain = hasDefaultParser(this.#nsp)
    this.#inMemory = inMemory
  }

  /**
   * Publishes what the others, or the hub, need to write to their sockets, and writes to the sockets here. In this order:
   * the others need not wait until all is written here, nor see before it what listeners emit meanwhile.
   */
  broadcast(
    packet: Packet,
    opts: BroadcastOptions,
    offset: string | undefined,
    publish: ((body: Body) => void) | undefined,
  ): void {
    packet.nsp = this.#nsp.name
    const encoded = encode(this.#nsp, packet)
    publish?.(this.#body(packet, encoded, opts))
    if (!encoded || (offset !== undefined && !this.#isText(packet, encoded))) {
      const whole = offset === undefined ? packet : { ...packet, data: [...packet.data, offset] }
      this.toShadows(opts, undefined, () => encode(this.#nsp, whole))
      this.#inMemory(whole, opts)
    } else {
      const whole = withOffset(encoded, offset)
      this.toShadows(opts, undefined, () => whole)
      this.#write(whole, opts, () => packet)
    }
  }

  /**
   * What writes a text that another server encoded. Throws when it must be read, and cannot be; where it need not, it is
   * the clients' as it stands.
   */
  readText(text: string, origin: Origin): (opts: BroadcastOptions, offset: string | undefined) => void {
    if (!this.#plain) {
      const data = this.#parse(text)
      return (opts, offset) => this.writeEvent(data, opts, offset, origin)
    }
    const packet = () => {
      let data: unknown[] = []
      try {
        data = this.#parse(text)
      } catch {
        // Clients will not be able to read it either. That is no reason to end this process.
      }
      return { type: EVENT, nsp: this.#nsp.name, data }
    }
    return (opts, offset) => {
      const whole = withOffset([text], offset)
      this.#relay(opts, offset, origin, (own) => (own === offset ? whole : withOffset([text], own)))
      this.#write(whole, opts, packet)
    }
  }

  writeEvent(data: unknown[], opts: BroadcastOptions, offset: string | undefined, origin: Origin): void {
    const packet = (own: string | undefined) => {
      return { type: EVENT, nsp: this.#nsp.name, data: own === undefined ? data : [...data, own] }
    }
    this.#relay(opts, offset, origin, (own) => encode(this.#nsp, packet(own)))
    this.#inMemory(packet(offset), opts)
  }

  /** To sockets that are neither here nor gone, what another member sends. */
  #relay(
    opts: BroadcastOptions,
    offset: string | undefined,
    origin: Origin,
    encoded: (offset: string | undefined) => Encoded | undefined,
  ): void {
    for (const shadow of this.#shadows.concerned(opts, origin.address)) {
      const packet = encoded(offset === undefined ? undefined : (shadow.offsetAt?.(origin) ?? offset))
      if (packet) shadow.write(packet)
    }
  }

  /** To sockets that are neither here nor gone, what `from` sends. Returns them. */
  toShadows(opts: BroadcastOptions, from: number | undefined, encoded: () => Encoded | undefined): Shadow[] {
    const shadows = this.#shadows.concerned(opts, from)
    if (shadows.length === 0) return shadows
    const packet = encoded()
    if (packet) for (const shadow of shadows) shadow.write(packet)
    return shadows
  }

  /** The arguments of an event that was published. */
  dataOf({ op, text, bytes }: ReadBody): unknown[] {
    return op === Op.Text ? this.#parse(text) : readList(text, bytes)
  }

  /** Throws when it cannot be read. */
  #parse(text: string): unknown[] {
    return decodeArguments(text.slice(this.#prefix.length), undefined)
  }

  #body(packet: Packet, encoded: Encoded | undefined, opts: BroadcastOptions): Body {
    if (encoded && this.#isText(packet, encoded))
      return writeBody(Op.Text, opts, { text: encoded[0], bytes: undefined })
    return writeBody(Op.Event, opts, listOf(packet.data, 'a packet'))
  }

  /** Whether it is one text of Socket.IO's own protocol. */
  #isText(packet: Packet, encoded: Encoded): encoded is readonly [string] {
    return this.#plain && packet.type === EVENT && encoded.length === 1 && typeof encoded[0] === 'string'
  }

  #write(encoded: Encoded, opts: BroadcastOptions, packet: () => Packet): void {
    const sockets = matching(this.#adapter, opts)
    if (sockets.length === 0) return
    const options = packetOptions(this.#adapter, encoded, opts.flags)
    let decoded: Packet | undefined
    const once = () => {
      decoded ??= packet()
      return decoded
    }
    for (const socket of sockets) {
      if (write(socket, encoded, options, once)) continue
      // This Socket.IO is another than the one we know: its own adapter knows how.
      this.#inMemory(once(), opts)
      return
    }
  }
}

/** The text of an event with one more argument. */
function withOffset(encoded: Encoded, offset: string | undefined): Encoded {
  const text = encoded[0]
  return offset === undefined || typeof text !== 'string' ? encoded : [`${text.slice(0, -1)},"${offset}"]`]
}
