import type { HubOptions, PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { WebSocket } from 'ws'
import { App, until, withApp } from '../reload/app.js'

/** The oldest and the newest ws that is there. */
export const VERSIONS = ['node_modules/ws/', 'node_modules/socket.io-4-7/node_modules/ws/']

/** Of `joinHub()`: its worker has more to do before. */
export const MANUAL = `{ ready: 'manual' }`

export interface ServingOptions {
  /** Where ws is. */
  ws?: string
  /** Of the `WebSocketServer`. */
  options?: string
  /** Of `hub.serve()`. */
  serve?: string
}

/** A worker with plain WebSockets. `body` finds `wss`, `handoverOf`, and `tell`, which tells the primary. */
export const serving = (
  body: string,
  { ws = VERSIONS[0] as string, options = '', serve = '{ webSockets: wss }' }: ServingOptions = {},
) => `
  import http from 'node:http'
  import { handoverOf } from ${JSON.stringify(import.meta.resolve('hubwire'))}
  const { WebSocketServer } = await import(${JSON.stringify(
    import.meta
      .resolve('ws')
      .replace('node_modules/ws/', ws)
      .replace(/wrapper\.mjs$/, 'wrapper.mjs'),
  )})
  const server = http.createServer((req, res) => res.end())
  const wss = new WebSocketServer({ server, ${options} })
  const tell = (...what) => hub.to('primary').emit('told', process.pid, ...what)
  ${body}
  hub.serve(server, ${serve})
  hub.ready()
`

export interface Site {
  hub: PrimaryHub
  port: number
  app: App
  /** What the workers told: their pids first. */
  told: unknown[][]
}

/** Runs a test on workers with plain WebSockets behind one port. */
export function site(
  name: string,
  {
    count = 1,
    body,
    hub: options = {},
    ...server
  }: ServingOptions & { count?: number; body: string; hub?: Partial<HubOptions> },
  run: (site: Site) => Promise<void>,
): void {
  test(name, async () => {
    const app = new App(serving(body, server), MANUAL)
    await withApp(app, { workers: [{ role: 'web', count, exec: app.exec }], ...options }, async (hub) => {
      const told: unknown[][] = []
      hub.on('told', (...what: unknown[]) => told.push(what))
      const listening = await hub.listen({ port: 0, host: '127.0.0.1' })
      await until(() => hub.stats().http?.workers.length === count, 'all serve')
      await run({ hub, port: listening.address().port, app, told })
    })
  })
}

/** A client that writes down what it gets. */
export class Client {
  readonly socket: WebSocket
  readonly got: string[] = []
  /** How it ended: its code, and what was said. */
  end: [code: number, reason: string] | undefined

  constructor(port: number, options: { perMessageDeflate?: boolean; protocols?: string[]; headers?: object } = {}) {
    const { protocols = [], headers = {}, perMessageDeflate = false } = options
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/chat?name=ann`, protocols, {
      perMessageDeflate,
      headers: headers as Record<string, string>,
    })
    this.socket.on('error', () => {})
    this.socket.on('message', (data, binary) => {
      const bytes = data as Buffer
      this.got.push(binary ? `binary ${bytes.toString('hex')}` : bytes.toString())
    })
    this.socket.on('close', (code, reason) => {
      this.end = [code, reason.toString()]
    })
  }

  async open(): Promise<this> {
    await until(() => this.socket.readyState === WebSocket.OPEN, 'open')
    return this
  }

  /** Says something, and waits for an answer that begins like that. */
  async ask(text: string, beginning: string): Promise<string> {
    const from = this.got.length
    this.socket.send(text)
    await until(() => this.got.slice(from).some((one) => one.startsWith(beginning)), beginning)
    return this.got.slice(from).find((one) => one.startsWith(beginning)) as string
  }
}
