import type { Peer } from './relay/peer.js'
import type { Place } from './relay/place.js'
import type { Dispatcher } from './tasks/dispatcher.js'
import type { LinkStats } from './types.js'

/** What the hub knows of a seat's links: of the process that has it, and then of those beside that one. */
export function linkStats(place: Place, dispatcher: Dispatcher): LinkStats[] {
  const { peer, hold } = place
  const seat: LinkStats = {
    id: place.id,
    incarnation: place.incarnation,
    state: place.state,
    queuedBytes: (peer?.queuedBytes ?? 0) + hold.bytes,
    held: hold.messages,
    queuedTasks: dispatcher.queuedFor(place),
    runningTasks: peer ? dispatcher.outstanding(peer) : 0,
    droppedEvents: place.droppedEvents + hold.droppedEvents + (peer?.droppedEvents ?? 0),
    refused: place.refused,
    protocolErrors: peer?.protocolErrors ?? 0,
    slow: peer?.slow ?? false,
  }
  const others = [...place.peers].filter((other) => other !== peer)
  return [seat, ...others.map((other) => beside(other, dispatcher))]
}

/** A process that does not have its seat: it is about to take it, or has handed it over. */
function beside(peer: Peer, dispatcher: Dispatcher): LinkStats {
  const { queuedBytes, droppedEvents, protocolErrors, slow } = peer
  return {
    id: peer.place.id,
    incarnation: peer.incarnation,
    state: peer.opened ? 'stopping' : 'starting',
    queuedBytes,
    held: 0,
    queuedTasks: 0,
    runningTasks: dispatcher.outstanding(peer),
    droppedEvents,
    refused: 0,
    protocolErrors,
    slow,
  }
}
