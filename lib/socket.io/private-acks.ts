import type { Namespace, Socket } from 'socket.io'

/**
 * All that reaches into what Socket.IO keeps to itself of acknowledgements. Checked against the versions that
 * `private.ts` names.
 */

// Casts below: these members are declared private, or not at all.

interface AckingSocket {
  readonly acks: Map<number, object>
  registerAckCallback?(id: number, callback: unknown): void
  ack(id: number): (...args: unknown[]) => void
  onack(packet: { id: number; data: unknown[] }): void
  _onpacket(packet: { type: number; id: number; data: unknown[] }): void
}

/** Socket.IO's type of a packet that acknowledges one. */
const ACK = 3

/** So many packets with acknowledgement a process can send in one namespace before it uses the numbers of the next. */
const ACKS = 2 ** 28

/** Of one socket, so many acknowledgements that it owes are known. */
const MAX_OWED = 1000

/** When the packets came whose acknowledgements sockets of this process have not given yet. */
const owed = new WeakMap<Socket, Set<{ since: number }>>()
/** When those packets were sent that are to be acknowledged, by the callbacks. */
const asked = new WeakMap<object, number>()

/** Acknowledgements for another process must not be taken for those of this one. */
export function numberAcks(nsp: Namespace, address: number): void {
  const inner = nsp as unknown as { _ids?: number }
  if (typeof inner._ids === 'number') inner._ids = Math.max(inner._ids, address * ACKS)
}

/** Calls back when the socket acknowledges that packet. */
export function expectAck(socket: Socket, id: number, callback: (value: unknown) => void): void {
  ;(socket as unknown as AckingSocket).acks?.set(id, callback)
  asked.set(callback, performance.now())
}

export function forgetAck(socket: Socket, id: number): void {
  ;(socket as unknown as AckingSocket).acks?.delete(id)
}

/** From now on it is known which acknowledgements a socket owes, and which are owed to it. */
export function countAcks(socket: Socket): void {
  const inner = socket as unknown as AckingSocket
  const { ack, registerAckCallback: register } = inner
  if (typeof ack === 'function') {
    const open = new Set<{ since: number }>()
    owed.set(socket, open)
    inner.ack = function (id) {
      const answer = ack.call(this, id)
      const one = { since: performance.now() }
      open.add(one)
      // Handlers may never give them.
      if (open.size > MAX_OWED) for (const oldest of open) if (open.delete(oldest)) break
      return (...args) => {
        open.delete(one)
        answer(...args)
      }
    }
  }
  if (typeof register === 'function') {
    inner.registerAckCallback = function (id, callback) {
      register.call(this, id, callback)
      const kept = this.acks.get(id)
      if (kept) asked.set(kept, performance.now())
    }
  }
}

/**
 * Whether acknowledgements of the socket are still to come that have not been waited for so long: those that it owes, and
 * those that the client does. In milliseconds.
 */
export function isAwaited(socket: Socket, patience: { owed: number; asked: number }): boolean {
  const now = performance.now()
  for (const { since } of owed.get(socket) ?? []) if (now - since < patience.owed) return true
  for (const callback of (socket as unknown as AckingSocket).acks.values()) {
    if (now - (asked.get(callback) ?? Number.NEGATIVE_INFINITY) < patience.asked) return true
  }
  return false
}

/** Acknowledgements that are not for this process go to `otherwise`. */
export function divertAcks(socket: Socket, otherwise: (id: number, data: unknown[]) => void): void {
  const inner = socket as unknown as AckingSocket
  const { onack } = inner
  inner.onack = function (packet) {
    if (this.acks.has(packet.id)) onack.call(this, packet)
    else otherwise(packet.id, packet.data)
  }
}

/** The client has acknowledged a packet of this process to the process that has it now. */
export function acknowledged(socket: Socket, id: number, data: unknown[]): void {
  ;(socket as unknown as AckingSocket)._onpacket({ type: ACK, id, data })
}
