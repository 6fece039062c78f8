import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Member } from '../member.js'
import type { HttpToHub } from '../relay/control.js'
import { detachIdle, inject, type RawHandle } from './raw-handle.js'

/** How long closed connections may go unreported, in milliseconds: many closings are one message. */
const REPORT = 20
/** How often connections are looked at while they are handed over, in milliseconds. */
const LOOK = 20

/** The connections of a member's HTTP server: those that came from the hub are counted, and can be handed over. */
export class Connections {
  readonly #member: Member
  readonly #server: Server
  /** TLS keeps state in this process: its connections stay. */
  readonly #encrypted: boolean
  /** All that the server has accepted. Others than guests come over the private socket. */
  readonly #all = new Set<Socket>()
  /** Those that the hub sent and that speak HTTP; whether nothing has come on them yet. */
  readonly #guests = new Map<Socket, { untouched: boolean }>()
  /** The one that is being injected; undefined outside of that. */
  #injecting: { socket: Socket | undefined } | undefined
  #taken = 0
  #open = 0
  #report: NodeJS.Timeout | undefined
  /** Where they go to. */
  #successor: number | undefined
  #looking: NodeJS.Timeout | undefined
  #soon: NodeJS.Immediate | undefined
  /** Open sockets that HTTP has let go of. */
  upgraded = 0

  constructor(member: Member, server: Server) {
    this.#member = member
    this.#server = server
    this.#encrypted = 'setSecureContext' in server
    server.prependListener('connection', this.#track)
  }

  /** The server has closed. */
  end(): void {
    this.#server.off('connection', this.#track)
    this.stay()
  }

  /** Gives the server a connection that the hub sent, with what has been read of it. */
  take(handle: RawHandle, bytes: Buffer | undefined, kept: boolean): void {
    this.#taken++
    this.#reportSoon()
    const injecting: { socket: Socket | undefined } = { socket: undefined }
    this.#injecting = injecting
    try {
      inject(this.#server, handle)
    } finally {
      this.#injecting = undefined
    }
    const { socket } = injecting
    if (!socket || socket.destroyed) return
    this.#guests.set(socket, { untouched: !bytes })
    if (bytes) socket.unshift(bytes)
    else if (kept) this.#closeUnlessUsed(socket)
  }

  /** Whether the hub sent it, and it speaks HTTP. */
  isGuest(socket: Socket): boolean {
    return this.#guests.has(socket)
  }

  /** One that the hub sent past the server. */
  adopt(socket: Socket): void {
    this.#taken++
    this.#open++
    this.#reportSoon()
    socket.once('close', () => {
      this.#open--
      this.#reportSoon()
    })
  }

  /** HTTP has let go of a connection. */
  upgrade(socket: Duplex): void {
    this.#guests.delete(socket as Socket)
    this.upgraded++
    socket.once('close', () => this.upgraded--)
  }

  /** From now on those without a request in progress go to that member, and the others once they have been answered. */
  handOver(to: number): void {
    this.#successor = to
    if (this.#encrypted) return
    this.#looking ??= setInterval(() => this.#look(), LOOK)
    this.#look()
  }

  /** No further one is handed over. */
  stay(): void {
    clearInterval(this.#looking)
    clearImmediate(this.#soon)
    this.#looking = undefined
    this.#soon = undefined
    this.#successor = undefined
  }

  /** A request has come. */
  requested(res: ServerResponse): void {
    if (this.#successor === undefined) return
    // What cannot be handed over ends with its answer, and the client knows.
    if (this.#encrypted) res.shouldKeepAlive = false
    // After the answer, and before the client's next request can have been read.
    else
      res.once('close', () => {
        this.#soon ??= setImmediate(() => {
          this.#soon = undefined
          this.#look()
        })
      })
  }

  /** The first listener of all: nobody has touched the socket yet. */
  readonly #track = (socket: Socket) => {
    this.#all.add(socket)
    socket.once('close', () => {
      this.#all.delete(socket)
      this.#guests.delete(socket)
    })
    if (!this.#injecting || this.#injecting.socket) return
    this.#injecting.socket = socket
    this.#open++
    socket.once('close', () => {
      this.#open--
      this.#reportSoon()
    })
  }

  #look(): void {
    const to = this.#successor
    if (to === undefined) return
    const body = JSON.stringify({ t: 'route', to, kept: true } satisfies HttpToHub)
    for (const handle of detachIdle(this.#server, this.#all, this.#guests)) this.#member.handles.add({ body, handle })
  }

  /** As the server that kept it open before would: this one knows of no request that the time could count from. */
  #closeUnlessUsed(socket: Socket): void {
    const { keepAliveTimeout } = this.#server
    if (!(keepAliveTimeout > 0)) return
    const timer = setTimeout(() => {
      if (socket.bytesRead === 0) socket.destroy()
    }, keepAliveTimeout)
    socket.once('close', () => clearTimeout(timer))
    timer.unref()
  }

  #reportSoon(): void {
    this.#report ??= setTimeout(() => {
      this.#report = undefined
      this.#member.tell({ t: 'connections', taken: this.#taken, open: this.#open })
    }, REPORT).unref()
  }
}
