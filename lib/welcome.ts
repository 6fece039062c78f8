import { type AddressedMember, PROTOCOL, type Settings, type ToHub, type ToMember } from './relay/control.js'
import type { Directory } from './relay/directory.js'
import type { Peer } from './relay/peer.js'
import type { Place } from './relay/place.js'
import { VERSION } from './version.js'

/** What the hub answers to a member's hello: a refusal, or all that a member knows from the start. */
export function answerHello(
  peer: Peer,
  { protocol, version }: Extract<ToHub, { t: 'hello' }>,
  directory: Directory,
  sockets: string,
  { timeout, highWaterMark, maxQueueBytes, maxMessageBytes, maxPendingCalls, gracePeriod }: Settings,
): Extract<ToMember, { t: 'welcome' | 'refused' }> {
  const { id, role } = peer.place
  if (protocol !== PROTOCOL) {
    return {
      t: 'refused',
      message:
        `joinHub() in ${JSON.stringify(id)}: it runs hubwire ${version}, the primary ${VERSION}, and they do not speak ` +
        'the same protocol. Install one version for both, and restart the primary.',
    }
  }
  if (version !== VERSION) {
    const text = `${JSON.stringify(id)} runs hubwire ${version}, the primary ${VERSION}. Restart the primary.`
    process.emitWarning(text, 'Hubwire')
  }
  return {
    t: 'welcome',
    id,
    role,
    incarnation: peer.incarnation,
    address: peer.address,
    sockets,
    members: [...directory.places].map(addressed),
    roles: [...directory.roles].map(({ name, address }) => [name, address]),
    settings: { timeout, highWaterMark, maxQueueBytes, maxMessageBytes, maxPendingCalls, gracePeriod },
  }
}

/** A seat as members are told of it. */
export function addressed(place: Place): AddressedMember {
  return { ...place.snapshot(), address: place.address }
}
