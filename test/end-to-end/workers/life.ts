// Lives and dies as it is asked to.
import { writeSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { joinHub } from 'hubwire'

const { STUBBORN } = process.env
let finish: (() => void)[] = []

const hub = await joinHub({
  onStop: async () => {
    hub.to('primary').emit('stopping', hub.id)
    if (STUBBORN) await new Promise(() => setInterval(() => {}, 1000))
  },
})

const diary: object[] = []
for (const event of ['join', 'leave', 'restart', 'give-up', 'hung'] as const) {
  hub.lifecycle.on(event, (member: { id: string; incarnation: number }, info?: object) => {
    diary.push({ event, id: member.id, incarnation: member.incarnation, ...info })
  })
}
hub.handle('diary', () => diary)

hub.handle('exit', ({ code, stderr = '' }: { code: number; stderr?: string }) => {
  writeSync(2, stderr)
  process.exit(code)
})
hub.handle('block', () => {
  setImmediate(() => {
    for (;;);
  })
})
hub.handle('ping', () => 'pong')
/** Work that lasts until a signal says otherwise. */
hub.handle('work', (n: number) => new Promise((resolve) => finish.push(() => resolve(n * 2))))
hub.handle('queued', async (n: number) => n * 3, { concurrency: 1 })
process.on('SIGUSR2', () => {
  for (const end of finish) end()
  finish = []
})
hub.on('last', (n: number) => hub.to('primary').emit('heard', n))
hub.handle('listen', async () => {
  const server = createServer((_request, response) => response.end('here'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
})
hub.handle('close', () => {
  setImmediate(async () => {
    for (let n = 1; n <= 1000; n++) hub.to('primary').emit('bye', n)
    await hub.close()
  })
})
