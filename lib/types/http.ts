import type { Server as NodeHttpServer } from 'node:http'
import type { Server as NodeHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

/** What `http.createServer()` or `https.createServer()` returns. */
export type HttpServer = NodeHttpServer | NodeHttpsServer

/** What Hubwire must know of a `WebSocketServer` of the package ws. */
export interface WebSocketServer<WebSocket extends object = object> {
  /** Those that are open: leave `clientTracking` on. */
  readonly clients: ReadonlySet<WebSocket>
  readonly options: object
}

/** The options of `hub.serve()`. */
export interface ServeOptions<WebSocket extends object = object> {
  /**
   * The `WebSocketServer`, of ws 8.17 or later, that handles this server's upgrades, or several of them. At a reload, and
   * when a role shrinks, their WebSockets go to the process that takes over, with their connections: their clients notice
   * nothing. There the server with the same place in the array emits `'connection'` with a WebSocket and a request like
   * the ones before; here the WebSocket emits `'handover'` in place of `'close'`, and what is still sent on it reaches the
   * client through the other. WebSockets that cannot move, compressed ones among them, are closed with 1012, "service
   * restart". @default none
   */
  webSockets?: WebSocketServer<WebSocket> | readonly WebSocketServer<WebSocket>[]
  /**
   * Called for each WebSocket at the moment at which another process takes it over. What it returns is to be had there
   * with `handoverOf(webSocket)`: what the structured clone algorithm carries. It must not return a promise.
   * @default nothing
   */
  onHandover?: (webSocket: WebSocket) => unknown
}

/**
 * How connections find their workers. `socket.io`: by the session id in requests below `path`. `ip`: by the client's
 * address. `header`: by the address in a header that a proxy of yours sets. `cookie`: by the session id, or else the
 * value, of a cookie. `false`: to the worker with fewest connections, as is done with all that belong nowhere.
 */
export type Sticky =
  | 'socket.io'
  | 'ip'
  | { readonly header: string; readonly cookie?: never }
  | { readonly cookie: string; readonly header?: never }
  | false

/** The options of `hub.listen()`. */
export interface ListenOptions {
  /** 0 takes any that is free: `address()` tells which. */
  port: number
  /** The address to listen on. @default all of this machine */
  host?: string
  /** Only workers of this role get these connections. @default all that called `hub.serve()` */
  role?: string
  /**
   * How connections find their workers. With `socket.io`, as long as nobody has called `attachSocketIo()` there are no
   * sessions to stick to: connections go to the worker with fewest, and are read there. @default 'socket.io'
   */
  sticky?: Sticky
  /** Only requests below it have a session id: the path of your Socket.IO server. @default '/socket.io/' */
  path?: string
  /** Connections that may wait in the kernel to be accepted. @default 511 */
  backlog?: number
  /**
   * Bytes that are read while the request line, or the head where that is read, has no end; beyond, the answer is 431. One
   * that comes whole at once is for the worker's own limit to judge. Given, it is kept also while nobody has sessions.
   * @default 16384, 16 KiB
   */
  maxRequestLine?: number
  /**
   * How long the request line, or the head, may take, in milliseconds; then the answer is 408, or none where nothing was
   * ever sent. Given, it is kept also while nobody has sessions. @default 10000
   */
  headTimeout?: number
  /** Connections that may wait until a worker takes them; beyond, the answer is 503. @default 10000 */
  maxWaiting?: number
  /** How long a connection may wait until a worker takes it, in milliseconds; then the answer is 503. @default 10000 */
  waitTimeout?: number
}

/** An open port. */
export interface Listening {
  /**
   * Where it listens.
   * @throws {HubError} `ERR_HUB_CLOSED`
   */
  address(): AddressInfo
  /**
   * Accepts nothing any more; whoever waits is answered 503. Connections that workers have taken go on. Resolves when the
   * port is free.
   */
  close(): Promise<void>
}
