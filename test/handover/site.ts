import type { HubOptions, PrimaryHub } from 'hubwire'
import { test } from 'uvu'
import { App, until, withApp } from '../reload/app.js'

/** A worker with a Socket.IO server. `body` finds `io`, `server`, and `tell`, which tells the primary. */
export const serving = (body: string, { options = '{}', socketIo = 'socket.io', attach = '{}', serve = '{}' } = {}) => `
  import http from 'node:http'
  const { Server } = await import(${JSON.stringify(import.meta.resolve('socket.io').replace('node_modules/socket.io/', `node_modules/${socketIo}/`))})
  const { attachSocketIo, handoverOf } = await import(${JSON.stringify(import.meta.resolve('hubwire/socket.io'))})
  const server = http.createServer()
  const io = new Server(server, ${options})
  const tell = (...what) => hub.to('primary').emit('told', hub.members.find(({ id }) => id === hub.id) && process.pid, ...what)
  attachSocketIo(io, hub, ${attach})
  ${body}
  hub.serve(server, ${serve})
`

export interface Site {
  hub: PrimaryHub
  port: number
  app: App
  /** What the workers told: their pids first. */
  told: unknown[][]
}

export interface SiteOptions {
  count?: number
  body: string
  options?: string
  attach?: string
  /** Of `hub.serve()`. */
  serve?: string
  socketIo?: string
  /** Of `joinHub()`. */
  joining?: string
  hub?: Partial<HubOptions>
}

/** Runs a test on workers with Socket.IO servers behind one port. */
export function site(
  name: string,
  { count = 1, body, hub: options = {}, joining, ...server }: SiteOptions,
  run: (site: Site) => Promise<void>,
): void {
  test(name, async () => {
    const app = new App(serving(body, server), joining)
    const workers = [{ role: 'web', count, exec: app.exec }]
    await withApp(app, { workers, ...options }, async (hub) => {
      const told: unknown[][] = []
      hub.on('told', (...what: unknown[]) => told.push(what))
      const listening = await hub.listen({ port: 0, host: '127.0.0.1' })
      // Else all clients would come to the first.
      await until(() => hub.stats().http?.workers.length === count, 'all serve')
      await run({ hub, port: listening.address().port, app, told })
    })
  })
}
