/**
 * The dedicated worker `keeper`: gives every message its place, keeps the last ones, and knows who is online. It has no
 * HTTP server. What it sends goes to the clients of all web workers through the hub.
 *
 * One process decides the order, so all tabs see the same one. A web worker that crashes takes nothing of this along.
 */
import { joinHub } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import type { Chat, FromPage, Tab, ToPage } from './contract.js'
import { History } from './history.js'
import { Presence } from './presence.js'
import { roomOf } from './rooms.js'

const GRACE = 5000

const hub = await joinHub<Chat>()
const io = attachSocketIo(new Server<FromPage, ToPage, Record<never, never>, Tab>(), hub)

const history = new History()
const presence = new Presence(
  async (name) => (await io.in(roomOf(name)).fetchSockets()).length > 0,
  () => io.emit('online', presence.names),
  GRACE,
)

// After a crash of the keeper itself the tabs are still there. The messages that it kept are not.
const restored = io.fetchSockets().then((tabs) => presence.restore(tabs.map(({ data }) => data.name)))

hub.handle('say', (draft) => {
  const { id, message } = history.add(draft)
  // A page sends again what was not acknowledged, because its worker crashed. It may have come all the same.
  if (!message) return { id }
  if (message.to === undefined) io.emit('message', message)
  else io.to(roomOf(message.to)).to(roomOf(message.from)).emit('message', message)
  return { id }
})

hub.handle('arrive', async ({ name, socketId, after }) => {
  await restored
  // Everybody is told of a newcomer; of somebody who is here already, only the new tab who else is.
  if (!presence.arrived(name)) io.to(socketId).emit('online', presence.names)
  return history.missed(name, after)
})

hub.on('departed', (name) => presence.departed(name))
hub.lifecycle.on('leave', ({ role }) => {
  if (role === 'web') presence.doubtAll()
})
