/** A worker with a Socket.IO server, which counts towards its clients, and looks at how they count. */
import http from 'node:http'
import { joinHub } from 'hubwire'
import { attachSocketIo, handoverOf } from 'hubwire/socket.io'
import { Server, type Socket } from 'socket.io'
import { usage } from '../soak/usage.js'
import { LATE, type Pace, ROOMS, type Rolling, type Work } from './history.js'

/** Every so many-th packet has binary parts, or wants an answer. */
const BINARY = 5
const ASKED = 7

interface Data {
  client: number
  /** The last counter that came, of those acknowledged at once; unknown after a recovery. */
  up: number | undefined
}

const pace: Pace = JSON.parse(process.env.ROLLING_PACE ?? '{"up":500,"down":500}')
const work: Work = {
  pid: process.pid,
  startedAt: Date.now(),
  ticks: Array.from({ length: ROOMS }, () => 0),
  sockets: {},
  wrongs: [],
}
/** Also those that another process has by now. */
const here = new Set<Socket>()

const hub = await joinHub<Rolling>({ onStop: () => void hub.to('primary').emit('done', finish()) })
if (process.env.ROLLING_CRASH === hub.id) throw new Error('on purpose')
// Connections stay open for longer than they are idle: a client that sends on one which is just closing has to send again,
// and that of Node.js sends nothing then, and waits.
const server = http.createServer({ keepAliveTimeout: 600_000 })
// Signs of life are under way all the time, and no busy machine makes them late.
const io = new Server(server, {
  // What the hub keeps for clients that are away is as much after a minute as after an hour.
  connectionStateRecovery: { maxDisconnectionDuration: 10_000 },
  serveClient: false,
  pingInterval: Math.max(2000, 2 * pace.down),
  pingTimeout: 30_000,
})
attachSocketIo(io, hub, { onHandover: (socket) => ({ id: socket.id, bytes: Buffer.from(socket.id) }) })

function workOf({ id }: Socket): Work['sockets'][string] {
  const known = work.sockets[id]
  if (known) return known
  const fresh = { downs: 0, questions: 0, answers: 0 }
  work.sockets[id] = fresh
  return fresh
}

function down(socket: Socket): void {
  const n = workOf(socket).downs++
  socket.emit('down', process.pid, n, n % BINARY ? null : Buffer.alloc(n % 100, n))
}

function ask(socket: Socket): void {
  const own = workOf(socket)
  const n = own.questions++
  let answered = false
  const onAnswer = (answer: number) => {
    if (answered || answer !== n) work.wrongs.push(`${socket.id} answered ${answer} to question ${n}`)
    answered = true
    own.answers++
  }
  socket.emit('question', process.pid, n, onAnswer)
}

function welcome(socket: Socket): void {
  const handover = handoverOf(socket) as { state: { id: string; bytes: Uint8Array } } | undefined
  if (!socket.recovered) {
    const client = Number(socket.handshake.auth.client)
    socket.data = { client, up: -1 } satisfies Data
    socket.join(`room-${client % ROOMS}`)
  } else if (handover) {
    const { id, bytes } = handover.state
    if (id !== socket.id || Buffer.from(bytes).toString() !== id)
      work.wrongs.push(`${socket.id} came with another state`)
  } else {
    socket.data.up = undefined
  }
  here.add(socket)
}

io.on('connection', (socket) => {
  welcome(socket)
  socket.on('up', (n: number, bytes: Buffer[] | null, done: (n: number, pid: number) => void) => {
    const { client, up = n - 1 } = socket.data as Data
    if (n !== up + 1) work.wrongs.push(`client ${client} (${socket.id}) sent ${n} after ${up}`)
    if (bytes?.some((part) => part.length !== n % 300 || part.some((byte) => byte !== n % 256))) {
      work.wrongs.push(`client ${client} sent ${n} with other bytes`)
    }
    socket.data.up = n
    done(n, process.pid)
    socket.emit('echo', n, bytes)
    if (n % ASKED === 0) ask(socket)
  })
  socket.on('late', (n: number, done: (n: number) => void) => {
    setTimeout(() => done(n), LATE)
  })
  socket.on('disconnect', (reason) => {
    // What is emitted when it is gone reaches its client through the process that has it.
    if ((reason as string) === 'handover') down(socket)
    here.delete(socket)
  })
})

let room = 0
const ticking = setInterval(() => {
  room = (room + 1) % ROOMS
  const n = work.ticks[room]
  if (n === undefined) return
  work.ticks[room] = n + 1
  io.to(`room-${room}`).emit('tick', process.pid, n, n % BINARY ? null : Buffer.alloc(n % 100, n))
}, pace.down / ROOMS)
const counting = setInterval(() => {
  for (const socket of here) down(socket)
}, pace.down)

function finish(): Work {
  clearInterval(ticking)
  clearInterval(counting)
  return work
}

hub.handle('finish', finish)
hub.handle('usage', async () => ({ ...(await usage()), connections: io.engine.clientsCount }))
hub.serve(server)
