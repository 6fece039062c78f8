import { setupPrimary } from '@socket.io/cluster-adapter'
import { type HubOptions, type PrimaryHub, startHub } from 'hubwire'
import type { Server } from 'socket.io'
import { type ManagerOptions, io as open, type Socket, type SocketOptions } from 'socket.io-client'

export const ADAPTERS = ['memory', 'cluster', 'hubwire'] as const
export type AdapterName = (typeof ADAPTERS)[number]

export interface App {
  events: Record<never, never>
  tasks: {
    port: () => number
    run: (order: { source: string; args: unknown[] }) => unknown
  }
}

/** What a function that runs in a worker is given. It must not use anything else but its arguments. */
export interface There {
  io: Server
  hub: PrimaryHub<App>
  /** `attachSocketIo()`, to this worker's hub. */
  attach: (io: Server) => Server
  // biome-ignore lint/suspicious/noExplicitAny: whatever one function leaves to the next
  state: Record<string, any>
}

const exec = new URL('./workers/server.js', import.meta.url)

/** Clients that were opened and what they received. */
export class Client {
  readonly socket: Socket
  readonly received: unknown[][] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.onAny((...args) => this.received.push(args))
  }

  /** The names, or first arguments, of the events so far. */
  get events(): unknown[] {
    return this.received.map(([event]) => event)
  }

  join(rooms: string | string[]): Promise<void> {
    return this.socket.emitWithAck('join', rooms)
  }
}

/** Several servers with one adapter, and clients of them. With the in-memory adapter all of them are one. */
export class Servers {
  readonly adapter: AdapterName
  readonly hub: PrimaryHub<App>
  readonly ids: readonly string[]
  readonly #ports = new Map<string, number>()
  readonly #clients = new Set<Socket>()

  constructor(adapter: AdapterName, hub: PrimaryHub<App>, ids: readonly string[]) {
    this.adapter = adapter
    this.hub = hub
    this.ids = ids
  }

  static async start(
    hub: PrimaryHub<App>,
    adapter: AdapterName,
    count: number,
    env: Record<string, string> = {},
    name: string = adapter,
  ): Promise<Servers> {
    const ids: string[] = []
    for (let i = 0; i < (adapter === 'memory' ? 1 : count); i++) ids.push(`${name}-${i}`)
    await Promise.all(ids.map((id) => hub.fork({ id, exec, env: { ADAPTER: adapter, ...env } })))
    const servers = new Servers(adapter, hub, ids)
    // The official adapter learns of its peers by their heartbeats.
    const known = () => servers.run(0, async ({ io }) => io.of('/').adapter.serverCount())
    if (adapter === 'cluster') await until(async () => (await known()) === ids.length)
    return servers
  }

  id(server: number): string {
    return this.ids[Math.min(server, this.ids.length - 1)] as string
  }

  /** Runs a function in a worker. */
  async run<A extends unknown[], R>(
    server: number,
    body: (there: There, ...args: A) => R,
    ...args: A
  ): Promise<Awaited<R>> {
    const order = { source: body.toString(), args }
    return (await this.hub.to(this.id(server)).request('run', order)) as Awaited<R>
  }

  /** Where clients of that server connect. */
  async url(server: number): Promise<string> {
    const id = this.id(server)
    let port = this.#ports.get(id)
    if (port === undefined) {
      port = await this.hub.to(id).request('port')
      this.#ports.set(id, port)
    }
    return `http://127.0.0.1:${port}`
  }

  /** Cuts a client's connection. Resolves when its server has noticed, and the hub, too. */
  async cut(client: Client, server: number): Promise<void> {
    const id = client.socket.id as string
    client.socket.io.engine.close()
    await until(() => this.run(server, ({ io }, id) => !io.sockets.sockets.has(id), id))
  }

  /** Connects a client once more, to whichever server. */
  async reconnect(client: Client, server: number): Promise<void> {
    const { socket } = client
    // Where a manager connects to is private; behind a load balancer it would not have to change.
    ;(socket.io as unknown as { uri: string }).uri = await this.url(server)
    const connected = new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('connect_error', reject)
    })
    socket.connect()
    await connected
  }

  async connect(
    server: number,
    nsp = '/',
    transport: 'websocket' | 'polling' = 'websocket',
    options: Partial<ManagerOptions & SocketOptions> = {},
  ): Promise<Client> {
    const socket = open(`${await this.url(server)}${nsp}`, {
      transports: [transport],
      forceNew: true,
      reconnection: false,
      ...options,
    })
    this.#clients.add(socket)
    const client = new Client(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('connect_error', reject)
    })
    return client
  }

  /** Resolves when no server has a socket in the namespace any more. */
  async idle(nsp: string): Promise<void> {
    for (const server of this.ids.keys()) {
      await until(() => this.run(server, ({ io }, nsp) => io.of(nsp).sockets.size === 0, nsp))
    }
  }

  /** Servers have been restarted: their ports are others. */
  forget(): void {
    this.#ports.clear()
  }

  closeClients(): void {
    for (const socket of this.#clients) socket.disconnect()
    this.#clients.clear()
  }
}

/** The hub of a test file, whose primary relays for the official adapter, too. */
export async function startPrimary(options: HubOptions<App> = {}): Promise<PrimaryHub<App>> {
  const hub = await startHub<App>({ signals: false, gracePeriod: 2000, ...options })
  setupPrimary()
  return hub
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export async function until(condition: () => boolean | Promise<boolean>, ms = 5000): Promise<void> {
  const end = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`it did not come about within ${ms} ms: ${condition}`)
    await sleep(5)
  }
}
