// An ordinary worker beside a hostile one.
import { joinHub, type TaskContext } from 'hubwire'
import { memberOf } from '#lib/internal.js'

export interface Victim {
  tasks: {
    where: () => { own: number }
    /** Asks that member for something that it answers when it is told to. */
    ask: (id: string) => unknown
    slow: () => string
    answer: () => void
    heard: () => { from: string; args: unknown[] }[]
  }
}

const hub = await joinHub<Victim>()
const heard: { from: string; args: unknown[] }[] = []
let answer: (value: string) => void = () => {}
let aborted = false
hub.onAny((_event, args, { from }) => heard.push({ from: from.id, args }))
hub.handle('where', () => ({ own: memberOf(hub, 'test').address }))
hub.handle('ask', (id) => hub.to(id).timeout(Number.POSITIVE_INFINITY).request('slow'))
hub.handle('slow', (_: undefined, { signal }: TaskContext) => {
  signal.addEventListener('abort', () => {
    aborted = true
  })
  return new Promise<string>((resolve) => {
    answer = resolve
  })
})
hub.handle('answer', () => answer(aborted ? 'aborted' : 'answered'))
hub.handle('heard', () => heard)
