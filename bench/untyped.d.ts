/** What we use of packages that bring no types. */

declare module 'axon' {
  type Answer = (...parts: unknown[]) => void
  interface Socket {
    bind(url: string): this
    connect(url: string): this
    on(event: 'message', listener: (item: never, reply: Answer) => void): this
    once(event: 'connect' | 'bind', listener: () => void): this
    send(...parts: unknown[]): void
  }
  const axon: { socket(type: 'push' | 'pull' | 'pub' | 'sub' | 'req' | 'rep'): Socket }
  export default axon
}

declare module 'node-ipc' {
  import type { Socket } from 'node:net'

  interface Client {
    on<Data>(event: string, listener: (data: Data) => void): this
    emit(event: string, data?: unknown): void
  }
  interface Server {
    on<Data>(event: string, listener: (data: Data, socket: Socket) => void): this
    emit(socket: Socket, event: string, data?: unknown): void
    start(): void
  }
  interface Ipc {
    config: { silent: boolean; id: string }
    server: Server
    of: Record<string, Client>
    serve(path: string, onStart: () => void): void
    connectTo(id: string, path: string, onReady: () => void): void
  }
  const ipc: Ipc
  export default ipc
}

declare module 'faye' {
  import type { Server } from 'node:http'

  class NodeAdapter {
    constructor(options: { mount: string; timeout?: number })
    attach(server: Server): void
  }
  class Client {
    constructor(url: string)
    subscribe(channel: string, onMessage: (message: never) => void): PromiseLike<void>
    publish(channel: string, message: unknown): PromiseLike<void>
  }
  const faye: { NodeAdapter: typeof NodeAdapter; Client: typeof Client }
  export default faye
}
