import type { Namespace } from 'socket.io'
import type { Body } from '../wire/codec.js'
import { listOf, Op, writeBody } from './body.js'
import { matching } from './matching.js'
import { type Encoded, encode, hasDefaultParser, packetOptions, remembers, write } from './private.js'
import type { Adapter, BroadcastOptions, Packet } from './types.js'

/** Socket.IO's type of an event packet. */
const EVENT = 2

/**
 * Writes events to the sockets of this process. A packet is encoded once, by its sender; where it is one text it
 * travels so, and is written by all others as it came.
 */
export class Outlet {
  readonly #adapter: Adapter
  readonly #nsp: Namespace
  /** What precedes the JSON of an event in its text. */
  readonly #prefix: string
  /** Whether texts are what every server can write. */
  readonly #plain: boolean
  /** With recovery on, the in-memory adapter keeps what it sends. */
  readonly #remembers: boolean
  /** The in-memory adapter's `broadcast`. */
  readonly #inMemory: (packet: Packet, opts: BroadcastOptions) => void

  constructor(adapter: Adapter, inMemory: (packet: Packet, opts: BroadcastOptions) => void) {
    this.#adapter = adapter
    this.#nsp = adapter.nsp
    this.#prefix = this.#nsp.name === '/' ? '2' : `2${this.#nsp.name},`
    this.#plain = hasDefaultParser(this.#nsp)
    this.#remembers = remembers(adapter)
    this.#inMemory = inMemory
  }

  /** Writes to the sockets here, and returns what the others need to do the same, unless it is for here alone. */
  broadcast(packet: Packet, opts: BroadcastOptions): Body | undefined {
    packet.nsp = this.#nsp.name
    const encoded = encode(this.#nsp, packet)
    // Before it is written: recovery appends to the data.
    // A packet with an id is a single socket's own, with recovery on: only that one knows whom to acknowledge it to.
    const body = opts.flags?.local || packet.id !== undefined ? undefined : this.#body(packet, encoded, opts)
    if (encoded && !this.#remembers) this.#write(encoded, opts, () => packet)
    else this.#inMemory(packet, opts)
    return body
  }

  /** Writes what another server encoded. */
  writeText(text: string, opts: BroadcastOptions): void {
    const packet = () => ({ type: EVENT, nsp: this.#nsp.name, data: JSON.parse(text.slice(this.#prefix.length)) })
    if (this.#plain && !this.#remembers) this.#write([text], opts, packet)
    else this.#inMemory(packet(), opts)
  }

  writeEvent(data: unknown[], opts: BroadcastOptions): void {
    this.#inMemory({ type: EVENT, data }, opts)
  }

  #body(packet: Packet, encoded: Encoded | undefined, opts: BroadcastOptions): Body {
    const text = encoded?.[0]
    if (this.#plain && packet.type === EVENT && encoded?.length === 1 && typeof text === 'string') {
      return writeBody(Op.Text, opts, { text, bytes: undefined })
    }
    return writeBody(Op.Event, opts, listOf(packet.data, 'a packet'))
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
