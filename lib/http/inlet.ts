import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { show } from '../checks.js'
import { surface } from '../emitter.js'
import { HubError, invalid } from '../errors.js'
import type { Member } from '../member.js'
import type { HandoverToMember, HttpToMember } from '../relay/control.js'
import type { HttpServer, ServeOptions } from '../types.js'
import type { Handle } from '../wire/transport.js'
import { Connections } from './connections.js'
import { Forwarding } from './forwarding.js'
import { createPrivateSocket, removePrivateSocket } from './private-socket.js'
import { isRawHandle } from './raw-handle.js'
import type { HttpRoom } from './room.js'
import { readServeOptions, WebSockets } from './web-sockets.js'

/** How often connections are looked at while the server drains, in milliseconds. */
const DRAIN_CHECK = 20

/**
 * Where connections come into a member: it gives them to the user's HTTP server as if that had accepted them. The server
 * really listens, on a private socket: so all its timeouts and methods work, and other members can reach it.
 */
export class Inlet implements HttpRoom {
  readonly #member: Member
  readonly #forwarding: Forwarding
  #server: Server | undefined
  #connections: Connections | undefined
  #webSockets: WebSockets | undefined
  /** Where connections go, when they can. */
  #successor: number | undefined
  #draining: Promise<void> | undefined

  constructor(member: Member) {
    this.#member = member
    this.#forwarding = new Forwarding(member)
    member.http = this
  }

  /** @throws {HubError} `ERR_INVALID_ARG_VALUE`, `ERR_HUB_CLOSED` */
  serve(given: HttpServer, options: ServeOptions = {}): void {
    const server = given as Server
    if (typeof server?.listen !== 'function' || typeof server.closeIdleConnections !== 'function') {
      const hint = 'sockets' in Object(given) ? ' That is the Socket.IO server: give the one it was made for.' : ''
      throw invalid(
        `hub.serve(): give it what http.createServer() or https.createServer() returns, not ${show(given)}.${hint}`,
      )
    }
    if (this.#member.closed)
      throw new HubError('ERR_HUB_CLOSED', "hub.serve(): this member's hub is closed. Serve before hub.close().")
    if (this.#server) throw invalid('hub.serve() was called twice: a member serves one server. Close the other first.')
    if (server.listening) {
      throw invalid(
        'hub.serve(): this server listens already. Leave listen() to the hub: its connections come from it.',
      )
    }
    const webSockets = readServeOptions(options)
    const socketPath = createPrivateSocket(this.#member.sockets, this.#member.address)
    this.#server = server
    const remove = () => removePrivateSocket(socketPath)
    process.once('exit', remove)
    const tls = 'setSecureContext' in server
    const end = () => {
      process.off('exit', remove)
      remove()
      connections.end()
      undivert()
      this.#webSockets?.end()
      this.#webSockets = undefined
      this.#server = undefined
      this.#connections = undefined
    }
    const connections = new Connections(this.#member, server)
    this.#connections = connections
    if (webSockets) this.#webSockets = new WebSockets(this.#member, webSockets)
    const undivert = this.#divert(server, connections)
    server.once('listening', () => {
      server.off('error', onError)
      this.#member.tell({ t: 'serve', socket: socketPath, tls })
      const close = server.close
      // The 'close' event comes when the last connection has ended. Nobody should be sent here until then.
      server.close = (callback) => {
        server.close = close
        this.#member.tell({ t: 'unserve' })
        return server.close(callback)
      }
    })
    server.once('close', end)
    const onError = (error: Error) => {
      end()
      // This listener must not hide it from those who have none.
      if (server.listenerCount('error') === 0) surface(error)
    }
    server.once('error', onError)
    // Exclusive: cluster would have the primary listen, and share it. As many may wait as the kernel lets: what others
    // forward has nowhere else to go.
    server.listen({ path: socketPath, exclusive: true, backlog: 65_535 })
  }

  receive(message: HttpToMember, handle: Handle | undefined, bytes: Uint8Array | undefined): void {
    if (message.t === 'servers') {
      this.#forwarding.update(message)
      return
    }
    if (!isRawHandle(handle)) {
      handle?.close()
      return
    }
    // Received bytes are a view on a buffer that they would keep alive as long as somebody holds a part of them.
    const read = message.read === undefined ? bytes && Buffer.from(bytes) : Buffer.from(message.read, 'latin1')
    if (this.#server?.listening) this.#connections?.take(handle, read, message.kept === true)
    // It closed while this was under way.
    else this.#member.handles.add({ body: JSON.stringify({ t: 'route' }), bytes: read, handle })
  }

  webSocket(message: HandoverToMember, handle: Handle | undefined): void {
    if (this.#webSockets) this.#webSockets.receive(message, handle)
    else handle?.close()
  }

  sessionOpened({ socket, url = '' }: IncomingMessage): void {
    // Connections that the hub did not send come from elsewhere, and go where somebody else has them go.
    if (this.#connections?.isGuest(socket)) this.#forwarding.sessionOpened(url)
  }

  handOver(to: number): void {
    this.#successor = to
    this.#connections?.handOver(to)
    this.#forwarding.leave(to)
  }

  isBusyWith(id: string | undefined): boolean {
    return this.#forwarding.progress.has(id)
  }

  adopt(socket: Socket): void {
    this.#connections?.adopt(socket)
  }

  drain(within: number): Promise<void> {
    this.#draining ??= this.#drain(within)
    return this.#draining
  }

  /** Has requests pass by here before anybody else's listener, whenever those were added. */
  #divert(server: Server, connections: Connections): () => void {
    const emit = server.emit
    const forwarding = this.#forwarding
    server.emit = function (this: Server, event: string, ...args: unknown[]): boolean {
      const local = () => Reflect.apply(emit, this, [event, ...args]) as boolean
      // What Node's HTTP server emits: its types do not tell event from event here.
      switch (event) {
        case 'request':
        case 'checkContinue':
        case 'checkExpectation':
          connections.requested(args[1] as ServerResponse)
          if (forwarding.request(args[0] as IncomingMessage, args[1] as ServerResponse, event, local)) return true
          break
        case 'upgrade': {
          const upgrade = () => {
            connections.upgrade(args[1] as Duplex)
            return local()
          }
          const [req, socket, head] = args as [IncomingMessage, Duplex, Buffer]
          return forwarding.upgrade(req, socket, head, upgrade) || upgrade()
        }
        case 'connect':
          connections.upgrade(args[1] as Duplex)
          break
      }
      return local()
    } as Server['emit']
    return () => {
      server.emit = emit
    }
  }

  /**
   * Takes no more connections, and lets the requests in progress end. Sockets that HTTP has let go of, and open polls of
   * sessions, are not waited for: they end when the process does.
   */
  async #drain(within: number): Promise<void> {
    const server = this.#server
    const connections = this.#connections
    if (!server?.listening || !connections) return
    const handsOver = this.#successor !== undefined
    // Closing the server would close connections that can still be handed over.
    if (handsOver) this.#member.tell({ t: 'unserve' })
    else server.close()
    // The other half is for what follows: the process is killed when all of it is over.
    const end = performance.now() + within / 2
    while (performance.now() < end) {
      if (!handsOver) server.closeIdleConnections()
      const open = await new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)))
      const settled = this.#webSockets?.moving !== true
      if (settled && open <= connections.upgraded + this.#forwarding.polls) break
      await sleep(DRAIN_CHECK)
    }
    connections.stay()
    if (handsOver) server.close()
  }
}
