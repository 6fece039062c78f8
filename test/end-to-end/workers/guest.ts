// Joins, takes part in all that there is, leaves, and tells what of it is left in its process. It lives on until it is
// told to end, or, as an idle one, ends by itself.
import { createServer } from 'node:http'
import { joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import { traces } from '../traces.js'

// This process's own: it is there before, and stays.
const stay = process.env.IDLE ? undefined : setInterval(() => {}, 60_000)
// Not before this module is done: while it waits, Node itself listens to what ends the process.
setImmediate(visit)

async function visit(): Promise<void> {
  const before = await traces()
  const hub = await joinHub()
  const server = createServer((_, response) => response.end(hub.id))
  hub.serve(server)
  const io = attachSocketIo(new Server(server), hub)
  hub.on('news', () => {})
  hub.lifecycle.on('join', () => {})
  hub.handle('echo', (value) => value)
  hub.handle('leave', () => {
    setImmediate(leave)
  })
  hub.emit('news')
  await hub.timeout(20_000).delegate('echo', 1)

  async function leave(): Promise<void> {
    await hub.close()
    await io.close()
    // What is closed is gone some turns later.
    for (let n = 0; n < 100 && (await traces()).resources.length > before.resources.length; n++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    process.send?.({ guest: { before, after: await traces() } }, () => {
      if (stay) process.once('message', () => process.exit(23))
    })
  }
}
