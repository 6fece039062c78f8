import type { Namespace } from 'socket.io'
import { surface } from '../emitter.js'
import { HubError } from '../errors.js'
import type { ArrivedPacket, Asked, Audience, Packets } from '../packets.js'
import type { Body } from '../wire/codec.js'
import { Scope } from '../wire/packet.js'
import { Acks } from './acks.js'
import { audience, isLocal } from './audience.js'
import { listOf, Op, readArray, readBody, readJson, readList, writeBody } from './body.js'
import { type Details, detailsOf } from './details.js'
import type { Door, Doors } from './doors.js'
import { matching } from './matching.js'
import { Outlet } from './outlet.js'
import { encode, serverSideEmitted, whenMade } from './private.js'
import { Recovery } from './recovery.js'
import { roomKey } from './room-key.js'
import { LocalRooms } from './rooms.js'
import { Shadows } from './shadows.js'
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
export function hubAdapter(Base: AdapterClass, packets: Packets, doors?: Doors): AdapterClass {
  return class HubAdapter extends Base {
    readonly #name: string
    readonly #rooms: LocalRooms
    readonly #outlet: Outlet
    readonly #acks = new Acks()
    readonly #recovery: Recovery
    readonly #shadows = new Shadows()
    #admitting = false

    constructor(nsp: Namespace) {
      super(nsp)
      this.#name = nsp.name
      this.#rooms = new LocalRooms(this, packets)
      this.#recovery = new Recovery(this, packets)
      this.#outlet = new Outlet(this, this.#shadows, (packet, opts) => super.broadcast(packet, opts))
      this.#recovery.init(this.#outlet)
      // Not in `init()`: Socket.IO calls that only since 4.8.2.
      whenMade(nsp, () => {
        doors?.open(nsp, this.#door)
        nsp.use((socket, next) => {
          // What came back with a session is known to the hub since it was given that.
          if (nsp.adapter === this && !socket.recovered) this.#rooms.expect(socket.id).then(() => next())
          else next()
        })
      })
      const receive = (packet: ArrivedPacket) => {
        // What cannot be read is its sender's fault, and what is thrown afterwards that of a listener here.
        const act = this.#read(packet)
        try {
          act()
        } catch (error) {
          surface(error)
        }
      }
      packets.attach(this.#name, receive, this.#recovery.times)
    }

    override close(): void {
      doors?.shut(this.#name)
      this.#recovery.close()
      packets.detach(this.#name)
    }

    override serverCount(): Promise<number> {
      return packets.serverCount(this.#name)
    }

    // Rooms

    override addAll(id: string, rooms: Set<string>): Promise<void> | void {
      const isFresh = this.#recovery.joining(id, rooms, (room) => this.#admitting || this.#rooms.knows(room as string))
      const added = this.#rooms.adding(id, rooms, () => super.addAll(id, rooms))
      // Another's join, for which this one would wait otherwise, was told earlier: the session's may still be on its way.
      return added && isFresh ? packets.settled() : added
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

    // Sockets that move

    readonly #door: Door = {
      shadows: this.#shadows,
      depart: ({ id, rooms }) => {
        this.#recovery.release(id)
        this.#rooms.departing(id, rooms, () => super.delAll(id))
      },
      arrive: ({ id, rooms, pid }, counted) => {
        this.#rooms.arriving(rooms, counted, () => super.addAll(id, rooms as Set<string>))
        if (pid !== undefined) this.#recovery.adopt(id, pid)
      },
      forget: (rooms) => packets.tellRooms(this.#name, { sockets: false, leave: Array.from(rooms, roomKey) }),
      joinAhead: (pid, room) => {
        if (pid !== undefined) this.#recovery.joinsAhead(pid, roomKey(room))
        this.#rooms.joiningAhead(room as string)
      },
      leaveAhead: (pid, room) => {
        if (pid !== undefined) this.#recovery.leavesAhead(pid, roomKey(room))
      },
      lose: (pid, data) => {
        if (pid !== undefined) this.#recovery.lose(pid, data)
      },
      gone: (id) => this.#acks.gone(id),
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
      // Before anybody is asked: nobody could be told that the others were not.
      if (body) packets.assertFits(this.#name, body)
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
      for (const shadow of this.#shadows.concerned(opts, undefined)) shadow.join(rooms)
      super.addSockets(opts, rooms)
      if (isLocal(opts)) return
      const { text } = writeBody(Op.Join, opts, { text: JSON.stringify(rooms), bytes: undefined })
      packets.admit(this.#name, audience(opts).rooms, rooms.map(roomKey), text)
    }

    override delSockets(opts: BroadcastOptions, rooms: string[]): void {
      for (const shadow of this.#shadows.concerned(opts, undefined)) shadow.leave(rooms)
      super.delSockets(opts, rooms)
      this.#tell(Op.Leave, opts, rooms)
    }

    override disconnectSockets(opts: BroadcastOptions, close: boolean): void {
      for (const shadow of this.#shadows.concerned(opts, undefined)) shadow.disconnect(close)
      super.disconnectSockets(opts, close)
      this.#tell(Op.Disconnect, opts, close)
    }

    // From sockets

    // Socket.IO types it as `any`: sockets that are here, and what makes remote ones of those that are not.
    override async fetchSockets(opts: BroadcastOptions): Promise<unknown[]> {
      const found: unknown[] = matching(this, opts)
      for (const shadow of this.#shadows.concerned(opts, undefined)) found.push(shadow.details())
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
    #ask(
      packet: Packet,
      opts: BroadcastOptions,
      onAnswer: (value: unknown) => void,
      onDone: () => void,
      from?: number,
    ): () => void {
      // Who is about to be here is asked then.
      const coming = this.#shadows.concerned(opts, from).flatMap(({ arrived }) => arrived ?? [])
      if (coming.length > 0) {
        let ended = false
        let end = () => {}
        Promise.all(coming).then(() => {
          if (!ended) end = this.#ask(packet, opts, onAnswer, onDone, from)
        })
        return () => {
          ended = true
          end()
        }
      }
      const sockets = matching(this, opts)
      const ignore = () => {}
      super.broadcastWithAck(packet, opts, ignore, ignore)
      const leaving = this.#outlet.toShadows(opts, from, () => encode(this.nsp, packet))
      for (const { socket } of leaving) if (socket) sockets.push(socket)
      return this.#acks.expect(packet.id ?? -1, sockets, onAnswer, onDone)
    }

    /** Reads all of a packet, and returns what does as it says. Throws when it cannot be read. */
    #read(packet: ArrivedPacket): () => void {
      const { answer, origin } = packet
      const from = origin.address
      const body = readBody(packet, packet.rooms)
      const { op, opts, text, bytes } = body
      const { offset } = this.#recovery
      switch (op) {
        case Op.Text: {
          const write = this.#outlet.readText(text, origin)
          return () => {
            if (packet.recoverable) this.#recovery.received(body)
            write(opts, offset)
          }
        }
        case Op.Event: {
          const data = readList(text, bytes)
          return () => {
            if (packet.recoverable) this.#recovery.received(body)
            this.#outlet.writeEvent(data, opts, offset, origin)
          }
        }
        case Op.AskEvent: {
          const data = readList(text, bytes)
          return () => this.#answerWithAcks(data, opts, answer ?? (() => {}), from)
        }
        case Op.Join: {
          const rooms = readArray(text) as string[]
          return () => {
            // Of those whom it concerns.
            for (const shadow of this.#shadows.concerned(opts, from)) shadow.join(rooms)
            // The hub knows of these joins: it has passed them on.
            this.#admitting = true
            try {
              super.addSockets(opts, rooms)
            } finally {
              this.#admitting = false
              this.#rooms.admitted(rooms)
            }
          }
        }
        case Op.Leave: {
          const rooms = readArray(text) as string[]
          return () => {
            for (const shadow of this.#shadows.concerned(opts, from)) shadow.leave(rooms)
            super.delSockets(opts, rooms)
          }
        }
        case Op.Disconnect: {
          const close = readJson(text) === true
          return () => {
            for (const shadow of this.#shadows.concerned(opts, from)) shadow.disconnect(close)
            super.disconnectSockets(opts, close)
          }
        }
        case Op.Fetch:
          return () => {
            const moving = this.#shadows.concerned(opts, from).map((shadow) => shadow.details())
            answer?.(detailsOf(matching(this, opts), moving), true)
          }
        case Op.Server: {
          const args = readList(text, bytes)
          let open = true
          const respond = (value: unknown) => {
            if (open) answer?.(listOf([value], 'an acknowledgement'), true)
            open = false
          }
          return () => serverSideEmitted(this.nsp, answer ? [...args, respond] : args)
        }
        default:
          throw new HubError('ERR_HUB_PROTOCOL', `There is no operation ${JSON.stringify(op)}.`)
      }
    }

    #answerWithAcks(
      data: unknown[],
      opts: BroadcastOptions,
      answer: NonNullable<ArrivedPacket['answer']>,
      from: number,
    ): void {
      const packet: Packet = { type: 2, data }
      const onAnswer = (value: unknown) => answer(listOf([value], 'an acknowledgement'), false)
      const onDone = () => {
        clearTimeout(timer)
        answer(undefined, true)
      }
      const timer = setTimeout(() => end(), opts.flags?.timeout)
      const end = this.#ask(packet, opts, onAnswer, onDone, from)
    }
  }
}
