/** What a web worker does for the tabs that are connected to it. */
import type { Hub } from 'hubwire'
import type { Server, Socket } from 'socket.io'
import type { Chat, FromPage, Tab, ToPage, WebWorker } from './contract.js'
import { BadInput, handshakeInput, parse, sayInput, typingInput } from './input.js'
import type { Login } from './login.js'
import { roomOf } from './rooms.js'

type NoEvents = Record<never, never>
export type ChatServer = Server<FromPage, ToPage, NoEvents, Tab>
type ChatSocket = Socket<FromPage, ToPage, NoEvents, Tab>

/** Any page that has logged in may end its worker: to see that is what this example is for. Nobody may in production. */
const mayCrash = process.env.NODE_ENV !== 'production'

export function serveTabs(io: ChatServer, hub: Hub<Chat>, login: Login): void {
  io.use((socket, next) => {
    const parsed = handshakeInput.safeParse(socket.handshake.auth)
    const name = parsed.success ? login.nameIn(parsed.data.token) : undefined
    if (name === undefined) return next(Object.assign(new Error('log in first'), { data: { login: true } }))
    socket.data.name = name
    next()
  })
  io.on('connection', (socket) => {
    const { name } = socket.data
    socket.on('say', (draft, answer) => say(hub, name, draft, answer))
    socket.on('typing', (to) => passOnTyping(socket, to))
    socket.on('crash', () => {
      if (mayCrash) crash(`${name} asked for it`)
    })
    socket.on('disconnect', (reason: string) => {
      // At a reload the tab goes on with the next process: nobody leaves.
      if (reason !== 'handover') hub.to('keeper').emit('departed', name)
    })
    welcome(socket, hub).catch((error: Error) => {
      console.error(`${hub.id} cannot welcome ${name}: ${error.message}`)
      // The page connects anew, a little later each time.
      socket.conn.close()
    })
  })

  // The pages show which workers there are. Each worker is told by the hub, and tells its own tabs.
  const tellWorkers = () => io.local.emit('workers', webWorkers(hub))
  for (const event of ['join', 'leave', 'restart', 'give-up'] as const) hub.lifecycle.on(event, tellWorkers)
}

async function welcome(socket: ChatSocket, hub: Hub<Chat>): Promise<void> {
  const { name } = socket.data
  await socket.join(roomOf(name))
  // From here on it gets what is said. It is told of what was said before; what is in both is shown once, by its id.
  if (!socket.connected) return
  const { after } = parse(handshakeInput, socket.handshake.auth)
  // May be asked again: arriving twice is arriving.
  const missed = await hub.to('keeper').retry(2).request('arrive', { name, socketId: socket.id, after })
  socket.emit('welcome', { ...missed, name, worker: hub.id, workers: webWorkers(hub), mayCrash })
}

async function say(hub: Hub<Chat>, from: string, draft: unknown, answer: unknown): Promise<void> {
  const reply = typeof answer === 'function' ? answer : () => {}
  try {
    const { text, to, key } = parse(sayInput, draft)
    reply(await hub.to('keeper').timeout(5000).request('say', { from, to, text, key, via: hub.id }))
  } catch (error) {
    if (!(error instanceof BadInput)) console.error(`${hub.id} cannot pass on a message: ${(error as Error).message}`)
    reply({ error: (error as Error).message })
  }
}

/** Volatile: who cannot take it at once needs it no more. It needs no keeper either. */
function passOnTyping(socket: ChatSocket, value: unknown): void {
  const parsed = typingInput.safeParse(value ?? undefined)
  if (!parsed.success) return
  const { name } = socket.data
  const others = parsed.data === undefined ? socket.broadcast : socket.to(roomOf(parsed.data))
  others.except(roomOf(name)).volatile.emit('typing', name)
}

function webWorkers(hub: Hub<Chat>): WebWorker[] {
  return hub.members.filter(({ role }) => role === 'web').map(({ id, pid, state }) => ({ id, pid, state }))
}

/** Ends this process as the system does when memory runs out: no handler runs, no buffer is written. */
function crash(why: string): void {
  console.error(`${process.pid} crashes: ${why}`)
  process.kill(process.pid, 'SIGKILL')
}
