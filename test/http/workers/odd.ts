import fs from 'node:fs'
import { joinHub } from 'hubwire'
import { memberOf } from '#lib/internal.js'
import { createOddApp, type Seen } from '../odd-app.js'
import { tlsFile } from '../tls.js'

export interface Odd {
  tasks: {
    /** By which the ids of its sessions begin. */
    address: () => number
    seen: () => Seen
    /** Connections that are open. */
    open: () => number
    /** Those who wait to be read are. */
    read: () => boolean
  }
}

const hub = await joinHub<Odd>()
const files = process.env.TLS ? { key: fs.readFileSync(tlsFile('key')), cert: fs.readFileSync(tlsFile('cert')) } : {}
const { server, seen } = createOddApp(() => hub.id, { ...JSON.parse(process.env.SERVER ?? '{}'), ...files })
hub.serve(server)
hub.handle('address', () => memberOf(hub, 'a test').address)
hub.handle('seen', () => seen)
hub.handle('open', () => new Promise((resolve) => server.getConnections((_, count) => resolve(count))))
hub.handle('read', () => server.emit('read'))
