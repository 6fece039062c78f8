/** All Socket.IO clients of a campaign, and the visitors that mean no good, in a process beside the hub. */
import net from 'node:net'
import { io as open, type Socket } from 'socket.io-client'
import { Random } from '../../fuzz/random.js'
import { ROOMS } from '../contract.js'
import { History, readPhase } from '../history.js'

export type Order =
  | { t: 'begin'; round: number }
  /** Asks go on, or stop. */
  | { t: 'go' }
  | { t: 'rest' }
  | { t: 'cut'; count: number }
  | { t: 'visit'; kind: keyof typeof VISITS; count: number }
  | { t: 'state' }
  | { t: 'leave' }

export interface ClientsState {
  /** The ids of those that are connected and in their rooms. */
  connected: string[]
  asking: number
  /** The greatest number of each sender, over the client that has heard least of it. */
  heard: Record<string, number>
  /** How long asks took since this was asked last, in milliseconds. */
  trips: number[]
}

/** Between two questions of a client, in milliseconds. */
const PAUSE = Number(process.env.FAULTS_PAUSE ?? 3000)
const [folder = '', port = '', count = ''] = process.argv.slice(2)
const history = new History(folder, 'clients')
const random = new Random(readPhase(folder).seed ^ 0x5bd1e995)
let going = false
let asking = 0
let trips: number[] = []

class Client {
  readonly #number: number
  readonly #socket: Socket
  #session = 0
  #asked = 0
  /** The worker that it is connected to; '' while it is away. */
  #home = ''
  entered = false
  readonly heard = new Map<string, number>()

  constructor(number: number) {
    this.#number = number
    // Three ways to be connected: at once, after an upgrade, and by polling.
    const transports = [['websocket'], ['websocket'], ['polling', 'websocket'], ['polling']][number % 4] as string[]
    const socket = open(`http://127.0.0.1:${port}`, {
      forceNew: true,
      transports,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
    })
    this.#socket = socket
    socket.on('connect', () => {
      this.#session++
    })
    socket.on('home', (home: string) => {
      this.#home = home
      this.write()
      const session = this.#session
      socket.emit('enter', [`room-${number % ROOMS}`, `own-${number}`], () => {
        if (session === this.#session) this.entered = true
      })
    })
    socket.on('disconnect', () => {
      history.write(`D ${number} ${this.#session}`)
      this.entered = false
      this.#home = ''
      this.heard.clear()
    })
    socket.on('packet', (from: string, n: number) => {
      history.write(`P ${number} ${this.#session} ${from} ${n}`)
      this.heard.set(from, n)
    })
    setInterval(() => this.#ask(), PAUSE + random.below(PAUSE))
  }

  get id(): string | undefined {
    return this.#socket.connected && this.entered ? this.#socket.id : undefined
  }

  /** Where it is connected. */
  write(): void {
    if (this.#home !== '') history.write(`O ${this.#number} ${this.#session} ${this.#home}`)
  }

  /** As when a cable is pulled: nobody says goodbye. */
  cut(): void {
    const { transport } = this.#socket.io.engine as unknown as { transport: { ws?: { terminate?(): void } } }
    if (transport?.ws?.terminate) transport.ws.terminate()
    else this.#socket.io.engine?.close()
  }

  leave(): void {
    this.#socket.disconnect()
  }

  #ask(): void {
    if (!going || !this.id) return
    const key = `${this.#number}/${++this.#asked}`
    asking++
    const begun = performance.now()
    history.write(`K ${key}`)
    this.#socket.timeout(60_000).emit('ask', key, (error: Error | null, answer: string) => {
      asking--
      if (!error) trips.push(performance.now() - begun)
      history.write(`k ${key} ${error ? 'none' : answer}`)
    })
  }
}

const clients = Array.from({ length: Number(count) }, (_, number) => new Client(number))

const VISITS = {
  /** Says nothing, or half of what it wants to say. */
  half: (socket: net.Socket) => {
    if (random.chance(0.7)) socket.write('GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nX-Half: ')
  },
  garbage: (socket: net.Socket) => {
    socket.write(Buffer.from(Array.from({ length: 200 }, () => random.below(256))))
  },
  /** Well-formed requests for sessions that nobody has. */
  sessions: (socket: net.Socket) => {
    const sid = random.pick(['__proto__', '1.abc', '9zz.abc', '../../x', '%00', 'a'.repeat(2000), '-1.x', '3.'])
    socket.write(`GET /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: a\r\n\r\n`)
  },
  /** Half of an upgrade, and frames that are none. */
  upgrade: (socket: net.Socket) => {
    socket.write(
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 1]))
  },
}

function visit(kind: keyof typeof VISITS): void {
  const socket = net.connect(Number(port), '127.0.0.1', () => VISITS[kind](socket))
  socket.on('error', () => {})
  socket.resume()
  setTimeout(() => socket.destroy(), 200 + random.below(2500))
}

/** The least of what all have heard of each sender. */
function heard(): Record<string, number> {
  const least: Record<string, number> = {}
  for (const name of new Set(clients.flatMap((client) => [...client.heard.keys()]))) {
    least[name] = Math.min(...clients.map((client) => client.heard.get(name) ?? 0))
  }
  return least
}

process.on('message', (order: Order & { id: number }) => {
  let answer: unknown
  switch (order.t) {
    case 'begin':
      history.open(order.round)
      for (const client of clients) client.write()
      going = true
      break
    case 'go':
      going = true
      break
    case 'rest':
      going = false
      break
    case 'cut':
      for (let i = 0; i < order.count; i++) random.pick(clients).cut()
      break
    case 'visit':
      for (let i = 0; i < order.count; i++) visit(order.kind)
      break
    case 'state': {
      const connected = clients.flatMap(({ id }) => id ?? [])
      answer = { connected, asking, heard: heard(), trips } satisfies ClientsState
      trips = []
      break
    }
    case 'leave':
      for (const client of clients) client.leave()
      break
    default:
      order satisfies never
  }
  process.send?.({ id: order.id, answer })
})
// Ctrl-C reaches this process, too; when it is to end is the campaign's to say.
process.on('SIGINT', () => {})
// The campaign may have ended while this was still loading: then the event has been missed.
process.on('disconnect', () => process.exit())
setInterval(() => process.connected || process.exit(), 500)
