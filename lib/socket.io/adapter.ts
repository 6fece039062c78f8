import type { Namespace } from 'socket.io'
import { surface } from '../emitter.js'
import { HubError } from '../errors.js'
import type { ArrivedPacket, Asked, Audience, Packets } from '../packets.js'
import type { Body } from '../wire/codec.js'
import { Scope } from '../wire/packet.js'
import { Acks } from './acks.js'
import { audience, isLocal } from './audience.js'
import { listOf, Op, type ReadBody, readBody, readJson, readList, writeBody } from './body.js'
import { type Details, detailsOf } from './details.js'
import { matching } from './matching.js'
import { Outlet } from './outlet.js'
import { serverSideEmitted, whenMade } from './private.js'
import { Recovery } from './recovery.js'
import { roomKey } from './room-key.js'
import { LocalRooms } from './rooms.js'
import type { Adapter, AdapterClass, BroadcastOptions, Packet } from './types.js'

/** How long to wait for other servers where the caller does not say, in milliseconds: as the official adapters do. */
const TIMEOUT = 5000

/** With more sockets than this, writing to them keeps the process so busy that others should hear of it before. */
const MANY = 100

const SERVERS: Audience = { scope: Scope.Servers }

/**
 * The adapter of one namespace. What concerns the sockets of this process happens at once, as in memory, and so in the
 * same order; then the others are told. `Base` is the in-memory adapter of the Socket.IO at hand.
 */
export function hubAdapter(Base: AdapterClass, packets: Packets): AdapterClass {
  return class HubAdapter extends Base {
    readonly #name: string
    readonly #rooms: LocalRooms
    readonly #outlet: Outlet
    readonly #acks = new Acks()
    readonly #recovery: Recovery
    #admitting = false

    constructor(nsp: Namespace) {
      super(nsp)
      this.#name = nsp.name
      this.#rooms = new LocalRooms(this, packets)
      this.#recovery = new Recovery(this, packets)
      this.#outlet = new Outlet(this, (packet, opts) => super.broadcast(packet, opts))
      this.#recovery.init(this.#outlet)
      // Not in `init()`: Socket.IO calls that only since 4.8.2.
      whenMade(nsp, () => {
        nsp.use((socket, next) => {
          // What came back with a session is known to the hub since it was given that.
          if (nsp.adapter === this && !socket.recovered) this.#rooms.expect(socket.id).then(() => next())
          else next()
        })
      })
      const receive = (packet: ArrivedPacket) => {
        try {
          this.#receive(packet)
        } catch (error) {
          surface(error)
        }
      }
      packets.attach(this.#name, receive, this.#recovery.times)
    }

    override close(): void {
      this.#recovery.close()
      packets.detach(this.#name)
    }

    override serverCount(): Promise<number> {
      return packets.serverCount(this.#name)
    }

    // Rooms

    override addAll(id: string, rooms: Set<string>): Promise<void> | void {
      this.#recovery.joining(id, rooms, (room) => this.#admitting || this.#rooms.knows(room as string))
      return this.#rooms.adding(id, rooms, () => super.addAll(id, rooms))
    }

    override del(id: string, room: string): void {
      this.#recovery.leaving(id, room)
      this.#rooms.removing(room, () => super.del(id, room))
    }

    override delAll(id: string): void {
      this.#rooms.removingAll(id, () => super.delAll(id))
      this.#acks.gone(id)
      this.#recovery.gone(id)
    }

    // Sessions of clients that are away

    override persistSession(session: Parameters<Adapter['persistSession']>[0]): void {
      this.#recovery.persist(session)
    }

    override restoreSession(pid: string, offset: string): ReturnType<Adapter['restoreSession']> {
      // Socket.IO takes null, too, and does not say so.
      return this.#recovery.restore(pid, offset) as ReturnType<Adapter['restoreSession']>
    }

    // To sockets

    override broadcast(packet: Packet, opts: BroadcastOptions): void {
      const sequence = this.#recovery.advance(packet, opts)
      // A packet with an id is a single socket's own, with recovery on: only that one knows whom to acknowledge it to.
      const travels = sequence !== undefined || (packet.id === undefined && !isLocal(opts))
      const offset = packet.id === undefined ? this.#recovery.offset : undefined
      const publish = (body: Body) => {
        if (sequence === undefined) {
          packets.publish(this.#name, audience(opts), body)
        } else {
          const except = Array.from(opts.except ?? [], roomKey)
          packets.publishRecoverable(this.#name, audience(opts), body, { sequence, except })
          this.#recovery.sent(body, opts)
        }
        if (this.sids.size > MANY) packets.hurry()
      }
      this.#outlet.broadcast(packet, opts, offset, travels ? publish : undefined)
    }

    /**
     * Socket.IO counts the servers that have told how many clients they asked, and the clients that have answered. Only
     * some servers are asked, and clients may go: so nobody is counted before all is known.
     */
    override broadcastWithAck(
      packet: Packet,
      opts: BroadcastOptions,
      onClientCount: (count: number) => void,
      onAck: (value: unknown) => void,
    ): void {
      let answers = 0
      const onAnswer = (value: unknown) => {
        answers++
        onAck(value)
      }
      let endRemote: Asked | undefined
      const body = isLocal(opts) ? undefined : writeBody(Op.AskEvent, opts, listOf(packet.data, 'a packet'))
      let endLocal = () => {}
      const local = new Promise<void>((resolve) => {
        endLocal = this.#ask(packet, opts, onAnswer, resolve)
      })
      const remote = new Promise<void>((resolve) => {
        if (!body) return resolve()
        const onBody = (text: string, bytes: Uint8Array | undefined) => onAnswer(readList(text, bytes)[0])
        endRemote = packets.ask(this.#name, audience(opts), body, onBody, resolve)
      })
      const timer = setTimeout(() => {
        endLocal()
        endRemote?.end()
      }, opts.flags?.timeout)
      const tell = ([servers]: [number, ...unknown[]]) => {
        clearTimeout(timer)
        for (let others = servers - 1; others > 0; others--) onClientCount(0)
        onClientCount(answers)
      }
      // Where the others could not be asked, their answers are missing: the emitter's timeout tells.
      Promise.all([this.serverCount(), local, remote]).then(tell, () => {})
    }

    override addSockets(opts: BroadcastOptions, rooms: string[]): void {
      super.addSockets(opts, rooms)
      if (isLocal(opts)) return
      const { text } = writeBody(Op.Join, opts, { text: JSON.stringify(rooms), bytes: undefined })
      packets.admit(this.#name, audience(opts).rooms, rooms.map(roomKey), text)
    }

    override delSockets(opts: BroadcastOptions, rooms: string[]): void {
      super.delSockets(opts, rooms)
      this.#tell(Op.Leave, opts, rooms)
    }

    override disconnectSockets(opts: BroadcastOptions, close: boolean): void {
      super.disconnectSockets(opts, close)
      this.#tell(Op.Disconnect, opts, close)
    }

    // From sockets

    // Socket.IO types it as `any`: sockets that are here, and what makes remote ones of those that are not.
    override async fetchSockets(opts: BroadcastOptions): Promise<unknown[]> {
      const found: unknown[] = matching(this, opts)
      if (isLocal(opts)) return found
      const body = writeBody(Op.Fetch, opts, { text: '', bytes: undefined })
      const onBody = (text: string, bytes: Uint8Array | undefined) => {
        found.push(...(readList(text, bytes) as Details[]))
      }
      const timeout = opts.flags?.timeout ?? TIMEOUT
      await this.#asked('fetchSockets()', audience(opts), body, onBody, timeout)
      return found
    }

    override async sockets(rooms: Set<string>): Promise<Set<string>> {
      return new Set(((await this.fetchSockets({ rooms })) as Details[]).map(({ id }) => id))
    }

    override async serverSideEmit(packet: unknown[]): Promise<void> {
      const ack = packet.at(-1)
      if (typeof ack !== 'function') {
        packets.publish(this.#name, SERVERS, writeBody(Op.Server, undefined, listOf(packet, 'serverSideEmit()')))
        return
      }
      const body = writeBody(Op.Server, undefined, listOf(packet.slice(0, -1), 'serverSideEmit()'))
      const responses: unknown[] = []
      const onBody = (text: string, bytes: Uint8Array | undefined) => responses.push(readList(text, bytes)[0])
      let failure: unknown = null
      try {
        await this.#asked('serverSideEmit()', SERVERS, body, onBody, TIMEOUT)
      } catch (error) {
        failure = error
      }
      ack(failure, responses)
    }

    // Within

    #tell(op: string, opts: BroadcastOptions, payload: unknown): void {
      if (isLocal(opts)) return
      const body = writeBody(op, opts, { text: JSON.stringify(payload), bytes: undefined })
      packets.publish(this.#name, audience(opts), body, true)
    }

    /** Resolves when all who were asked have answered or are gone. Rejects when time is up. */
    #asked(
      what: string,
      to: Audience,
      body: { text: string; bytes: Uint8Array | undefined },
      onBody: (text: string, bytes: Uint8Array | undefined) => void,
      timeout: number,
    ): Promise<void> {
      return new Promise((resolve, reject) => {
        const onDone = () => {
          clearTimeout(timer)
          resolve()
        }
        const asked = packets.ask(this.#name, to, body, onBody, onDone)
        const timer = setTimeout(() => {
          const missing = asked.end()
          // Whom it has asked, the hub has not told yet.
          const who = missing === 0 ? 'the primary' : missing === 1 ? '1 server' : `${missing} servers`
          const message = `${what}: ${who} did not answer within ${timeout} ms. See what keeps their event loops busy.`
          reject(new HubError('ERR_HUB_TIMEOUT', message))
        }, timeout)
      })
    }

    /** Broadcasts to the sockets here, and collects their acknowledgements. Returns what ends the waiting. */
    #ask(packet: Packet, opts: BroadcastOptions, onAnswer: (value: unknown) => void, onDone: () => void): () => void {
      const sockets = matching(this, opts)
      const ignore = () => {}
      super.broadcastWithAck(packet, opts, ignore, ignore)
      return this.#acks.expect(packet.id ?? -1, sockets, onAnswer, onDone)
    }

    #receive(packet: ArrivedPacket): void {
      const { answer } = packet
      const body = readBody(packet, packet.rooms)
      const { op, opts, text, bytes } = body
      const { offset } = this.#recovery
      if (packet.recoverable) this.#recovery.received(body)
      switch (op) {
        case Op.Text:
          this.#outlet.writeText(text, opts, offset)
          break
        case Op.Event:
          this.#outlet.writeEvent(readList(text, bytes), opts, offset)
          break
        case Op.AskEvent:
          this.#answerWithAcks(body, answer ?? (() => {}))
          break
        case Op.Join: {
          const rooms = readJson(text) as string[]
          // The hub knows of these joins: it has passed them on.
          this.#admitting = true
          try {
            super.addSockets(opts, rooms)
          } finally {
            this.#admitting = false
            this.#rooms.admitted(rooms)
          }
          break
        }
        case Op.Leave:
          super.delSockets(opts, readJson(text) as string[])
          break
        case Op.Disconnect:
          super.disconnectSockets(opts, readJson(text) as boolean)
          break
        case Op.Fetch:
          answer?.(detailsOf(matching(this, opts)), true)
          break
        case Op.Server: {
          const args = readList(text, bytes)
          let open = true
          const respond = (value: unknown) => {
            if (open) answer?.(listOf([value], 'an acknowledgement'), true)
            open = false
          }
          serverSideEmitted(this.nsp, answer ? [...args, respond] : args)
          break
        }
      }
    }

    #answerWithAcks({ opts, text, bytes }: ReadBody, answer: NonNullable<ArrivedPacket['answer']>): void {
      const packet: Packet = { type: 2, data: readList(text, bytes) }
      const onAnswer = (value: unknown) => answer(listOf([value], 'an acknowledgement'), false)
      const onDone = () => {
        clearTimeout(timer)
        answer(undefined, true)
      }
      const timer = setTimeout(() => end(), opts.flags?.timeout)
      const end = this.#ask(packet, opts, onAnswer, onDone)
    }
  }
}
