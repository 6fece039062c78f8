import type { Peer } from './relay/peer.js'
import type { Place } from './relay/place.js'
import type { Dispatcher } from './tasks/dispatcher.js'
import { eventName, Kind, messageCount, readKind } from './wire/frame.js'

/** The member is ready: what waited for it is matched against what it really listens to and serves. */
export function deliverHeld(peer: Peer, dispatcher: Dispatcher): void {
  const { place } = peer
  place.hold.release((sender, text, at, length, attachment) => {
    const frame = text.substring(at, at + length)
    const attached = attachment ? [attachment] : []
    if (readKind(text, at) === Kind.Request) {
      for (const outlet of dispatcher.resume(sender, text, at, length, attachment)) {
        outlet.deliver(sender, frame, attached)
      }
    } else if (peer.registrations.listens(eventName(text, at))) {
      peer.deliver(sender, frame, attached)
    } else {
      place.droppedEvents += messageCount(text, at)
    }
  })
  place.pressure.relieve()
}

/** Nobody will come for what was held. */
export function abandonHeld(place: Place, dispatcher: Dispatcher): void {
  place.hold.release((sender, text, at) => {
    if (readKind(text, at) === Kind.Request) dispatcher.refuseHeld(sender, text, at)
    else place.droppedEvents += messageCount(text, at)
  })
  place.pressure.relieve()
}
