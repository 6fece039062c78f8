/**
 * A recoverable packet in the order of things: who sent it, the hub's sequence of it, and its sender's. The same three
 * are a position in the order in which one member, `origin`, delivers packets: behind all of others up to the hub's
 * sequence `hub`, and behind its own up to `local`. It delivers its own at once and others' as the hub sends them, so no
 * single number could say that.
 */
export interface Position {
  /** The address of an incarnation; `NOBODY` in positions that are the hub's own. */
  readonly origin: number
  readonly hub: number
  readonly local: number
}

/** No incarnation has this address: such a position is one in the order of the hub. */
export const NOBODY = 0

/**
 * Whether the packet stands before that position, or at it: a client that has got so far has got it, or never will. What
 * the member itself sends behind a position comes to the hub behind all that it had got there, so it has a greater
 * number in the hub's sequence, too.
 */
export function covers(position: Position, packet: Position): boolean {
  return packet.hub <= position.hub || (packet.origin === position.origin && packet.local <= position.local)
}

/** As clients keep it, with each packet that they get. */
export function writePosition({ origin, hub, local }: Position): string {
  return `${origin.toString(36)}.${hub.toString(36)}.${local.toString(36)}`
}

const WRITTEN = /^([0-9a-z]{1,5})\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})$/

/** Undefined when it is none: clients say what they like. */
export function readPosition(text: string): Position | undefined {
  const [, origin, hub, local] = WRITTEN.exec(text) ?? []
  if (origin === undefined || hub === undefined || local === undefined) return undefined
  return { origin: Number.parseInt(origin, 36), hub: Number.parseInt(hub, 36), local: Number.parseInt(local, 36) }
}
