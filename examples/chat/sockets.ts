/** What a web worker does for the tabs that are connected to it. */
import type { Hub } from 'hubwire'
import { handoverOf } from 'hubwire/socket.io'
import type { Server, Socket } from 'socket.io'
import type { Chat, FromPage, Served, Tab, ToPage, WebWorker } from './contract.js'
import { BadInput, handshakeInput, parse, sayInput, typingInput } from './input.js'
import type { Login } from './login.js'
import { roomOf } from './rooms.js'

type NoEvents = Record<never, never>
export type ChatServer = Server<FromPage, ToPage, NoEvents, Tab>
export type ChatSocket = Socket<FromPage, ToPage, NoEvents, Tab>

/** Any page that has logged in may deploy, and end its worker: to see that is what this example is for. Nobody may in production. */
const mayOperate = process.env.NODE_ENV !== 'production'

/** Tabs that know what was said before they came. */
const welcomed = new WeakSet<object>()

/** What goes with a tab to the next process of its worker. */
export const onHandover = (socket: object) => ({ welcomed: welcomed.has(socket) })

export function serveTabs(io: ChatServer, hub: Hub<Chat>, login: Login, release: number): void {
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
      if (mayOperate) crash(`${name} asked for it`)
    })
    socket.on('deploy', () => {
      if (mayOperate) hub.to('primary').emit('deploy', name)
    })
    socket.on('disconnect', (reason: string) => {
      // At a reload the tab goes on with the next process: nobody leaves.
      if (reason !== 'handover') hub.to('keeper').emit('departed', name)
    })
    // A tab that was handed over knows all, but who serves it now.
    const { welcomed: knows } = (handoverOf(socket)?.state ?? {}) as Partial<ReturnType<typeof onHandover>>
    if (knows) {
      welcomed.add(socket)
      socket.emit('served', servedBy(hub, release))
      return
    }
    welcome(socket, hub, release).catch((error: Error) => {
      console.error(`${hub.id} cannot welcome ${name}: ${error.message}`)
      // The page connects anew, a little later each time.
      socket.conn.close()
    })
  })

  // The pages show which workers there are. Each worker is told by the hub, and tells its own tabs.
  const tellWorkers = () => io.local.emit('workers', webWorkers(hub))
  for (const event of ['join', 'leave', 'restart', 'give-up', 'reload'] as const) hub.lifecycle.on(event, tellWorkers)
}

async function welcome(socket: ChatSocket, hub: Hub<Chat>, release: number): Promise<void> {
  const { name } = socket.data
  await socket.join(roomOf(name))
  // From here on it gets what is said. It is told of what was said before; what is in both is shown once, by its id.
  if (!socket.connected) return
  const { after } = parse(handshakeInput, socket.handshake.auth)
  // May be asked again: arriving twice is arriving.
  const missed = await hub.to('keeper').retry(2).request('arrive', { name, socketId: socket.id, after })
  welcomed.add(socket)
  socket.emit('welcome', { ...missed, name, ...servedBy(hub, release), mayOperate })
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

function servedBy(hub: Hub<Chat>, release: number): Served {
  return { worker: hub.id, pid: process.pid, release, workers: webWorkers(hub) }
}

function webWorkers(hub: Hub<Chat>): WebWorker[] {
  return hub.members.filter(({ role }) => role === 'web').map(({ id, pid, state }) => ({ id, pid, state }))
}

/** Ends this process as the system does when memory runs out: no handler runs, no buffer is written. */
function crash(why: string): void {
  console.error(`${process.pid} crashes: ${why}`)
  process.kill(process.pid, 'SIGKILL')
}
