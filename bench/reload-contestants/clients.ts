/** WebSocket clients that come back as Socket.IO's do, and note how long they heard nothing. */
import { randomBytes } from 'node:crypto'
import net from 'node:net'

export type ToClients =
  | { t: 'connect'; port: number; count: number; listeners: number }
  /** From now on it is noted what comes, and what does not. */
  | { t: 'watch' }
  | { t: 'tell' }

export type FromClients = { t: 'connected' } | { t: 'watching' } | ({ t: 'seen' } & Seen)

export interface Seen {
  /** Clients that lost their connection. */
  disconnected: number
  /** Messages that came, to all listeners together. */
  received: number
  /** The longest time of each listener from one message to the next, in milliseconds. */
  gaps: number[]
}

/** Of WebSocket and of Socket.IO: the first byte of a text, and the first characters of what comes in it. */
const TEXT = 0x81
const [MESSAGE, PING, CONNECT, EVENT] = ['4', '2', '0', '2'].map((digit) => digit.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
]
/** Socket.IO's client waits for so long before it connects anew, give or take a half, in milliseconds. */
const RECONNECTION_DELAY = 1000
/** … and so long for a connection. */
const CONNECT_TIMEOUT = 20_000
const BUNCH = 100

let connected = 0
let wanted = 0

/** Frames from a client are masked; four zeroes are a mask, too. */
function frame(text: string): Buffer {
  return Buffer.concat([Buffer.from([TEXT, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])
}

class Client {
  readonly #port: number
  readonly listens: boolean
  #rest: Buffer = Buffer.alloc(0)
  #upgraded = false
  #isThere = false
  #last = 0
  #onThere = () => {}
  disconnected = false
  received = 0
  gap = 0

  constructor(port: number, listens: boolean) {
    this.#port = port
    this.listens = listens
  }

  /** Resolves when it is there, be it at the second attempt. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#onThere = resolve
      this.#connect()
    })
  }

  #connect(): void {
    this.#upgraded = false
    this.#rest = Buffer.alloc(0)
    const socket = net.connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    const query = `EIO=4&transport=websocket${this.listens ? '&listens=1' : ''}`
    socket.write(
      `GET /socket.io/?${query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    )
    socket.setTimeout(CONNECT_TIMEOUT, () => this.#isThere || socket.destroy())
    socket.on('error', () => {})
    socket.once('close', () => this.#onClose())
    socket.on('data', (chunk) => this.#read(socket, chunk))
  }

  watch(): void {
    this.disconnected = false
    this.received = 0
    this.gap = 0
    this.#last = performance.now()
  }

  #onClose(): void {
    if (this.#isThere) connected--
    this.#isThere = false
    this.disconnected = true
    setTimeout(() => this.#connect(), RECONNECTION_DELAY * (0.5 + Math.random()))
  }

  #read(socket: net.Socket, chunk: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    if (!this.#upgraded) {
      const end = data.indexOf('\r\n\r\n')
      if (end >= 0) {
        this.#upgraded = true
        data = data.subarray(end + 4)
        socket.write(frame('40'))
      }
    }
    let at = 0
    while (this.#upgraded && at + 2 <= data.length) {
      const short = data.readUInt8(at + 1)
      const start = short < 126 ? at + 2 : at + 4
      if (start > data.length) break
      const length = short < 126 ? short : data.readUInt16BE(at + 2)
      if (start + length > data.length) break
      if (data[start] === PING) socket.write(frame('3'))
      else if (data[start] === MESSAGE && data[start + 1] === CONNECT) this.#onConnect()
      else if (data[start] === MESSAGE && data[start + 1] === EVENT) this.#onEvent()
      at = start + length
    }
    this.#rest = data.subarray(at)
  }

  #onConnect(): void {
    this.#isThere = true
    connected++
    this.#onThere()
    if (connected === wanted) tell({ t: 'connected' })
  }

  #onEvent(): void {
    const now = performance.now()
    this.gap = Math.max(this.gap, now - this.#last)
    this.#last = now
    this.received++
  }
}

const clients: Client[] = []

function tell(message: FromClients): void {
  process.send?.(message)
}

async function connect({ port, count, listeners }: Extract<ToClients, { t: 'connect' }>): Promise<void> {
  wanted = count
  // Every so many-th listens, so that all workers have some.
  const every = Math.floor(count / listeners)
  for (let i = 0; i < count; i++) clients.push(new Client(port, i % every === 0))
  for (let i = 0; i < count; i += BUNCH) {
    await Promise.all(clients.slice(i, i + BUNCH).map((client) => client.start()))
  }
}

process.on('message', (message: ToClients) => {
  if (message.t === 'connect') connect(message)
  else if (message.t === 'watch') {
    for (const client of clients) client.watch()
    tell({ t: 'watching' })
  } else {
    const listening = clients.filter(({ listens }) => listens)
    tell({
      t: 'seen',
      disconnected: clients.filter(({ disconnected }) => disconnected).length,
      received: listening.reduce((sum, { received }) => sum + received, 0),
      gaps: listening.map(({ gap }) => gap),
    })
  }
})
process.on('disconnect', () => process.exit())
