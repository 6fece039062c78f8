import { breakOff, keepOpen, type WebSocket } from './private-ws.js'

/** A message that the application has sent, or a part of one. */
export interface Outgoing {
  readonly data: string | Uint8Array
  readonly binary: boolean
  readonly fin: boolean
}

type Callback = (error?: Error) => void

/** Sends what was to be sent on a WebSocket whose connection was elsewhere, or not free. */
export function send(ws: WebSocket, { data, binary, fin }: Outgoing): void {
  ws.send(data, { binary, fin })
}

/** Has what is sent wait, until what was sent before has left. Returns what was sent meanwhile, and what ends that. */
export function hold(ws: WebSocket): { readonly messages: readonly Outgoing[]; release(): void } {
  const messages: Outgoing[] = []
  const paused = ws.isPaused
  const release = () => {
    for (const name of ['send', 'close']) Reflect.deleteProperty(ws, name)
    if (!paused) ws.resume()
    for (const message of messages.splice(0)) send(ws, message)
  }
  divertSends(ws, (message) => messages.push(message))
  // What was sent before goes first.
  ws.close = (code, reason) => {
    release()
    ws.close(code, reason)
  }
  ws.pause()
  return { messages, release }
}

/** Where what the application does with a WebSocket goes that has left. */
export interface Elsewhere {
  send(message: Outgoing): void
  close(code?: number, reason?: string): void
  terminate(): void
}

/** Has the application go on with a WebSocket whose connection has left, as if it were here. */
export function standIn(ws: WebSocket, elsewhere: Elsewhere): void {
  keepOpen(ws)
  divertSends(ws, (message) => elsewhere.send(message))
  ws.close = (code, reason) => elsewhere.close(code, reason?.toString())
  ws.terminate = () => elsewhere.terminate()
  ws.pause = () => {}
  ws.resume = () => {}
  ws.ping = callBack
  ws.pong = callBack
}

/** It does not come through to its client any more. */
export function endStandIn(ws: WebSocket): void {
  for (const name of ['send', 'close', 'terminate', 'pause', 'resume', 'ping', 'pong']) Reflect.deleteProperty(ws, name)
  breakOff(ws)
}

/** Signs of life are the business of whoever has the connection. */
function callBack(...args: unknown[]): void {
  const callback = args.find((arg) => typeof arg === 'function') as Callback | undefined
  if (callback) process.nextTick(callback)
}

function divertSends(ws: WebSocket, to: (message: Outgoing) => void): void {
  ws.send = (data, given, callback) => {
    const options = typeof given === 'object' ? (given as { binary?: boolean; fin?: boolean } | null) : undefined
    const done = (typeof given === 'function' ? given : callback) as Callback | undefined
    try {
      const text = typeof data === 'string' || typeof data === 'number'
      to({ data: text ? String(data) : bytesOf(data), binary: options?.binary ?? !text, fin: options?.fin ?? true })
    } catch (error) {
      if (!done) throw error
      process.nextTick(done, error)
      return
    }
    if (done) process.nextTick(done)
  }
}

/** A copy: the application may use the memory again. Throws what Node does for what is no bytes. */
function bytesOf(data: unknown): Uint8Array {
  if (data === null || data === undefined) return Buffer.alloc(0)
  if (ArrayBuffer.isView(data)) return Buffer.from(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  return data instanceof ArrayBuffer ? Buffer.from(data.slice(0)) : Buffer.from(data as Uint8Array)
}
