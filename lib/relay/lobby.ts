import { NO_ATTACHMENTS } from '../wire/batch.js'
import { isWellFormed, Kind, readKind, readLength } from '../wire/frame.js'
import type { ToHub, ToMember } from './control.js'
import type { Peer } from './peer.js'
import { Rooms } from './rooms.js'

/** The control messages that are Socket.IO's. */
type Message = Extract<ToHub, { t: 'attach' | 'detach' | 'rooms' | 'admit' }>

export interface LobbyHooks {
  tell(peer: Peer, message: ToMember): void
  tellAll(message: ToMember): void
}

/** The hub's half of Socket.IO's conversation: who has which namespaces, what is in which rooms, who answers. */
export class Lobby {
  readonly rooms: Rooms
  readonly #hooks: LobbyHooks

  constructor(hooks: LobbyHooks) {
    this.#hooks = hooks
    this.rooms = new Rooms((peer, call, to) => {
      hooks.tell(peer, { t: 'asked', call, to: to.map(({ address }) => address) })
    })
  }

  control(peer: Peer, message: Message): void {
    const { nsp } = message
    switch (message.t) {
      case 'attach':
        this.rooms.attach(peer, nsp)
        this.#tellServers(nsp)
        break
      case 'detach':
        this.rooms.detach(peer, nsp)
        this.#tellServers(nsp)
        break
      case 'rooms':
        if (message.sockets) this.rooms.hold(peer, nsp, true)
        if (message.join) this.rooms.join(peer, nsp, message.join)
        if (message.leave) this.rooms.leave(peer, nsp, message.leave)
        if (message.sockets === false) this.rooms.hold(peer, nsp, false)
        break
      case 'admit':
        if (!isPacket(message.frame)) {
          peer.protocolErrors++
          break
        }
        for (const holder of this.rooms.admit(peer, nsp, message.to, message.rooms)) {
          holder.deliver(peer, message.frame, NO_ATTACHMENTS)
        }
    }
  }

  /** The member is gone, or takes no more part. */
  leave(peer: Peer): void {
    const had = this.rooms.clear(peer)
    if (had.length === 0) return
    this.#hooks.tellAll({ t: 'gone', address: peer.address })
    for (const nsp of had) this.#tellServers(nsp)
  }

  #tellServers(nsp: string): void {
    const servers = this.rooms.servers(nsp)
    for (const server of servers) this.#hooks.tell(server, { t: 'members', nsp, count: servers.length })
  }
}

/** Whether a member gave one whole Packet, to be passed on as it is. */
function isPacket(text: string): boolean {
  return isWellFormed(text, 0, text.length) && readLength(text, 0) === text.length && readKind(text, 0) === Kind.Packet
}
