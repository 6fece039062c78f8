/**
 * The dedicated worker `keeper`: gives every message its place, keeps the last ones, and knows who is online. It has no
 * HTTP server. What it sends goes to the clients of all web workers through the hub.
 *
 * One process decides the order, so all tabs see the same one. A web worker that crashes takes nothing of this along, and
 * at a deploy the next keeper gets all of it from this one.
 */
import { joinHub, type Member } from 'hubwire'
import { attachSocketIo } from 'hubwire/socket.io'
import { Server } from 'socket.io'
import type { Chat, FromPage, Legacy, Tab, ToPage } from './contract.js'
import { History } from './history.js'
import { Presence } from './presence.js'
import { roomOf } from './rooms.js'

const GRACE = 5000

const hub = await joinHub<Chat>({
  // What is sent to one's own id at a deploy reaches the process that has it now.
  onStop: (hub) => {
    if (self().pid !== process.pid) hub.to('keeper').emit('legacy', { ...history.legacy, online: presence.names })
  },
})
const io = attachSocketIo(new Server<FromPage, ToPage, Record<never, never>, Tab>(), hub)

const history = new History()
const presence = new Presence(
  async (name) => (await io.in(roomOf(name)).fetchSockets()).length > 0,
  () => io.emit('online', presence.names),
  GRACE,
)

/** What the keeper before has left, where this one takes over from it at a deploy; undefined where there is nothing. */
const legacy = new Promise<Legacy | undefined>((resolve) => {
  const { state, pid } = self()
  if (state !== 'ready' || pid === process.pid) return resolve(undefined)
  hub.once('legacy', resolve)
  // It comes before these. Should that one have been killed, there is none.
  hub.lifecycle.on('leave', ({ id }) => id === hub.id && resolve(undefined))
  hub.lifecycle.on('reload', ({ id }, { phase }) => id === hub.id && phase === 'done' && resolve(undefined))
})

/** All that this process has to know before it does anything. */
const restored = legacy.then(async (known) => {
  if (known) history.inherit(known)
  // After a crash of the keeper the tabs are still there. The messages that it kept are not.
  presence.restore(known?.online ?? (await io.fetchSockets()).map(({ data }) => data.name))
})

hub.handle('say', async (draft) => {
  await restored
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

hub.on('departed', (name) => restored.then(() => presence.departed(name)))
hub.lifecycle.on('leave', ({ role }) => {
  if (role === 'web') presence.doubtAll()
})

/** The keeper as all see it: this process, or while one takes over from another, the one that has the seat. */
function self(): Member {
  const seat = hub.members.find(({ id }) => id === hub.id)
  if (!seat) throw new Error('the hub does not know the keeper')
  return seat
}
