import { randomBytes } from 'node:crypto'
import net from 'node:net'
import { until } from '../reload/app.js'

export interface Frame {
  opcode: number
  payload: Buffer
}

/** A frame as clients send it. */
export function frame(opcode: number, payload: Buffer | string, { fin = true, mask = randomBytes(4) } = {}): Buffer {
  const bytes = Buffer.from(payload)
  const { length } = bytes
  const head =
    length < 126
      ? Buffer.from([0, 0x80 | length])
      : length < 65_536
        ? Buffer.from([0, 0x80 | 126, length >> 8, length & 255])
        : Buffer.concat([Buffer.from([0, 0x80 | 127, 0, 0, 0, 0]), Buffer.alloc(4)])
  if (length >= 65_536) head.writeUInt32BE(length, 6)
  head[0] = (fin ? 0x80 : 0) | opcode
  for (let i = 0; i < length; i++) bytes[i] = (bytes[i] as number) ^ (mask[i % 4] as number)
  return Buffer.concat([head, mask, bytes])
}

/** A WebSocket, of Socket.IO where it is not told another path, that sends the bytes that a test wants, when it wants. */
export class RawClient {
  readonly #socket: net.Socket
  #bytes = Buffer.alloc(0)
  #upgraded = false
  ended = false
  readonly frames: Frame[] = []

  /** `late`: the last line of its request is for `send` to come up with. */
  constructor(port: number, query = '', path = '/socket.io/', late = false) {
    this.#socket = net.connect(port, '127.0.0.1')
    this.#socket.on('error', () => {})
    this.#socket.on('data', (chunk) => this.#read(chunk))
    this.#socket.on('close', () => {
      this.ended = true
    })
    this.#socket.write(
      `GET ${path}?EIO=4&transport=websocket${query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nX-Marked: yes\r\n${late ? '' : '\r\n'}`,
    )
  }

  /** Waits until it is open. */
  async opened(): Promise<void> {
    await until(() => this.#upgraded, 'open')
  }

  /** Comes to the namespace, and forgets what it got for it. */
  async connect(): Promise<void> {
    await until(() => this.texts.length > 0, 'open')
    this.send(frame(1, '40'))
    await until(() => this.texts.some((text) => text.startsWith('40{')), 'connected')
    this.frames.length = 0
  }

  /** The server has answered to the upgrade. */
  get upgraded(): boolean {
    return this.#upgraded
  }

  get texts(): string[] {
    return this.frames.filter(({ opcode }) => opcode === 1).map(({ payload }) => payload.toString())
  }

  /** What came in Socket.IO's packets, without signs of life. */
  get packets(): string[] {
    return this.frames.flatMap(({ opcode, payload }) => {
      const text = payload.toString(opcode === 1 ? 'utf8' : 'hex')
      return opcode > 2 || (opcode === 1 && text === '2') ? [] : [text]
    })
  }

  send(bytes: Buffer): void {
    if (bytes.length > 0) this.#socket.write(bytes)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    if (!this.#upgraded) {
      const end = this.#bytes.indexOf('\r\n\r\n')
      if (end < 0) return
      this.#upgraded = true
      this.#bytes = this.#bytes.subarray(end + 4)
    }
    for (let next = this.#next(); next; next = this.#next()) {
      this.frames.push(next)
    }
  }

  #next(): Frame | undefined {
    const bytes = this.#bytes
    if (bytes.length < 2) return undefined
    let length = (bytes[1] as number) & 127
    let start = 2
    if (length === 126) {
      if (bytes.length < 4) return undefined
      length = bytes.readUInt16BE(2)
      start = 4
    } else if (length === 127) {
      if (bytes.length < 10) return undefined
      length = Number(bytes.readBigUInt64BE(2))
      start = 10
    }
    if (bytes.length < start + length) return undefined
    this.#bytes = bytes.subarray(start + length)
    return { opcode: (bytes[0] as number) & 15, payload: Buffer.from(bytes.subarray(start, start + length)) }
  }
}
