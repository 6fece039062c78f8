import { isHubMessage, joinHub } from 'hubwire'

const seen: unknown[] = []
const messages = { hub: 0, own: [] as unknown[] }
process.on('message', (message) => {
  if (isHubMessage(message)) messages.hub++
  else {
    messages.own.push(message)
    process.send?.({ echo: message })
  }
})

const hub = await joinHub()
hub.lifecycle.on('join', ({ id, incarnation, state }) => seen.push(['join', id, incarnation, state]))
hub.lifecycle.on('leave', ({ id, incarnation }, { code, signal }) =>
  seen.push(['leave', id, incarnation, code, signal]),
)
hub.lifecycle.on('restart', ({ id }, { attempt, exit }) => seen.push(['restart', id, attempt, exit.code]))

hub.on('exit', (code: number) => process.exit(code))
hub.handle('seen', () => seen)
hub.handle('members', () => hub.members)
hub.handle('messages', () => messages)
hub.handle('who', (_input, { from }) => ({ id: hub.id, role: hub.role, pid: process.pid, from }))
hub.handle('ask', async ({ id, task, input }: { id: string; task: string; input?: unknown }) => {
  return hub.to(id).request(task, input)
})

// Answers when it is told to, whoever is still there to hear it.
const waiting = new Map<string, (answer: string) => void>()
const aborted: string[] = []
hub.handle('slow', (name: string, { signal }) => {
  signal.addEventListener('abort', () => aborted.push(name))
  return new Promise((resolve) => waiting.set(name, resolve))
})
hub.handle('answer', (name: string) => waiting.get(name)?.(`to ${name}`))
hub.handle('waiting', () => ({ waiting: [...waiting.keys()], aborted }))
