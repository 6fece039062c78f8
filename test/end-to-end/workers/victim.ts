// An ordinary worker beside a hostile one.
import { joinHub, type TaskContext } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { memberOf } from '#lib/internal.js'

export interface Victim {
  tasks: {
    where: () => { own: number }
    /** Asks that member for something that it answers when it is told to. */
    ask: (id: string) => unknown
    slow: () => string
    /** Asks the other servers of Socket.IO for the same; resolves with what they answer. */
    inquire: () => unknown[]
    answer: () => void
    /** How often it was asked for what is slow. */
    asked: () => number
    heard: () => { from: string; args: unknown[] }[]
  }
}

const hub = await joinHub<Victim>()
const heard: { from: string; args: unknown[] }[] = []
let answer: (value: string) => void = () => {}
let aborted = false
let asked = 0
hub.onAny((_event, args, { from }) => heard.push({ from: from.id, args }))
hub.handle('where', () => ({ own: memberOf(hub, 'test').address }))
hub.handle('ask', (id) => hub.to(id).timeout(Number.POSITIVE_INFINITY).request('slow'))
hub.handle('slow', (_: undefined, { signal }: TaskContext) => {
  signal.addEventListener('abort', () => {
    aborted = true
  })
  asked++
  return new Promise<string>((resolve) => {
    answer = resolve
  })
})
const io = attachSocketIo(new Server(), hub)
io.on('question', (reply: (value: string) => void) => {
  asked++
  answer = reply
})
hub.handle('asked', () => asked)
hub.handle('inquire', () => io.serverSideEmitWithAck('question'))
hub.handle('answer', () => answer(aborted ? 'aborted' : 'answered'))
hub.handle('heard', () => heard)
