import fs from 'node:fs'
import http, { type IncomingHttpHeaders } from 'node:http'
import net, { type Socket } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { type Listening, type ListenOptions, type PrimaryHub, startHub, type WorkerSpec } from 'hubwire'
import { test } from 'uvu'
import type { Web } from './workers/web.js'

// Private sockets of this test and its workers alone: whatever is left is theirs.
process.env.TMPDIR = fs.mkdtempSync(path.join(os.tmpdir(), 'test-http-'))
process.once('exit', () => fs.rmSync(os.tmpdir(), { recursive: true, force: true }))

export const web = new URL('./workers/web.js', import.meta.url)

export interface Site {
  hub: PrimaryHub<Web>
  listening: Listening
  port: number
}

/** Runs a hub with these workers and one port; leaves nothing behind, and checks it. */
export async function withSite(
  workers: readonly WorkerSpec[],
  options: Partial<ListenOptions>,
  body: (site: Site) => Promise<void>,
): Promise<void> {
  const before = privateSockets()
  const hub = await startHub<Web>({ signals: false, gracePeriod: 4000, backoff: { min: 20, max: 50 }, workers })
  let port = 0
  try {
    const listening = await hub.listen({ port: 0, host: '127.0.0.1', ...options })
    port = listening.address().port
    await body({ hub, listening, port })
  } finally {
    await hub.close()
  }
  const after = privateSockets().filter((name) => !before.includes(name))
  if (after.length > 0) throw new Error(`private sockets are left: ${after.join(', ')}`)
  await new Promise<void>((resolve, reject) => {
    const probe = net.connect(port, '127.0.0.1')
    probe.once('connect', () => reject(new Error(`port ${port} is still open`)))
    probe.once('error', () => resolve())
  })
}

/** A test of a hub with `count` web workers. */
export function site(
  name: string,
  { count = 2, env = {}, ...options }: Partial<ListenOptions> & { count?: number; env?: Record<string, string> },
  body: (site: Site) => Promise<void>,
): void {
  test(name, () => withSite([{ role: 'web', count, exec: web, env }], options, body))
}

export function privateSockets(): string[] {
  return fs.readdirSync(os.tmpdir()).filter((name) => {
    if (!name.startsWith('hubwire-')) return false
    return fs.existsSync(path.join(os.tmpdir(), name, 'http.sock'))
  })
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** One request, on a connection of its own unless an agent is given. */
export function fetch(port: number, target: string, options: http.RequestOptions & { body?: string } = {}) {
  const { body, ...rest } = options
  return new Promise<Answer>((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: target, agent: false, ...rest }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode as number, headers: response.headers, body: text }),
      )
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** A raw connection that remembers all that it got. */
export class Client {
  readonly socket: Socket
  received = ''
  closed = false
  ended = false

  constructor(port: number, host = '127.0.0.1', localAddress?: string) {
    this.socket = net.connect({ port, host, allowHalfOpen: true, noDelay: true, ...(localAddress && { localAddress }) })
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
    })
    this.socket.on('end', () => {
      this.ended = true
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
    })
  }

  write(text: string): Promise<void> {
    return new Promise((resolve) => this.socket.write(text, 'latin1', () => resolve()))
  }

  /** Writes each part as a packet of its own, or so it is to be hoped. */
  async writeParts(parts: readonly string[]): Promise<void> {
    for (const part of parts) {
      await this.write(part)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  until(condition: () => boolean, what: string): Promise<void> {
    return until(condition, () => `${what}; got ${JSON.stringify(this.received.slice(-500))}`)
  }

  got(pattern: RegExp): Promise<void> {
    return this.until(() => pattern.test(this.received), `never got ${pattern}`)
  }

  /** Asks who serves this connection, and keeps it open. */
  async who(): Promise<string> {
    const from = this.received.length
    await this.write('GET /who HTTP/1.1\r\nHost: x\r\n\r\n')
    await this.until(() => /\r\n\r\n.+/s.test(this.received.slice(from)), 'no answer')
    return this.received.slice(from).split('\r\n\r\n')[1] as string
  }

  destroy(): void {
    this.socket.destroy()
  }
}

export async function until(condition: () => boolean, what: string | (() => string), limit = 15_000): Promise<void> {
  const end = Date.now() + limit
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never happened: ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
