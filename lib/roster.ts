import { HubError, invalid } from './errors.js'
import type { AddressedMember } from './relay/control.js'
import type { Member, Target } from './types.js'
import { Address } from './wire/frame.js'

/** Whom a message is for, with the addresses that stand for it on the wire. */
export interface Recipients {
  readonly kind: 'member' | 'members' | 'role' | 'everybody' | 'others'
  readonly ids: readonly string[]
  readonly role: string | undefined
}

export const EVERYBODY: Recipients = { kind: 'everybody', ids: [], role: undefined }
export const OTHERS: Recipients = { kind: 'others', ids: [], role: undefined }

/** Reads what a user gave to `hub.to(…)`. */
export function parseTarget(target: Target): Recipients {
  if (typeof target === 'string' || typeof target === 'number') {
    return { kind: 'member', ids: [String(target)], role: undefined }
  }
  if (Array.isArray(target)) {
    const ids = (target as readonly unknown[]).map((id) => {
      if (typeof id === 'string' || typeof id === 'number') return String(id)
      throw invalid('hub.to([…]): each id must be a string or a number.')
    })
    return { kind: 'members', ids: [...new Set(ids)], role: undefined }
  }
  if (typeof target === 'object' && target !== null && 'role' in target && typeof target.role === 'string') {
    return { kind: 'role', ids: [], role: target.role }
  }
  throw invalid("hub.to(…): the target must be an id, a list of ids, or { role: '…' }.")
}

/** What a member knows of the others: who they are, where they are reached, and whose queues are over their mark. */
export class Roster {
  // Maps, because ids are the user's: `__proto__` is an ordinary one.
  readonly #members = new Map<string, AddressedMember>()
  readonly #roles = new Map<string, number>()
  readonly #pressed = new Set<number>()
  #snapshot: readonly Member[] | undefined

  get members(): readonly Member[] {
    this.#snapshot ??= Object.freeze(
      [...this.#members.values()].map(({ id, role, pid, incarnation, state }) =>
        // JSON leaves out what is undefined.
        Object.freeze({ id, role, pid, incarnation, state }),
      ),
    )
    return this.#snapshot
  }

  set(member: AddressedMember): void {
    this.#members.set(member.id, member)
    this.#snapshot = undefined
  }

  setRole(name: string, address: number): void {
    this.#roles.set(name, address)
  }

  remove(id: string): void {
    const member = this.#members.get(id)
    if (member) this.#pressed.delete(member.address)
    this.#members.delete(id)
    this.#snapshot = undefined
  }

  press(address: number, on: boolean): void {
    if (on) this.#pressed.add(address)
    else this.#pressed.delete(address)
  }

  /** @throws {HubError} `ERR_HUB_NO_MEMBER` */
  member(id: string, attempt: string): AddressedMember {
    const member = this.#members.get(id)
    if (member) return member
    const known = [...this.#members.keys()].slice(0, 10).map((name) => JSON.stringify(name))
    throw new HubError(
      'ERR_HUB_NO_MEMBER',
      `${attempt}: nobody on this hub has the id ${JSON.stringify(id)}. There are: ${known.join(', ')}. ` +
        'Name it in the workers of startHub(), or hub.fork() it.',
    )
  }

  /** @throws {HubError} `ERR_HUB_NO_MEMBER` */
  role(name: string, attempt: string): number {
    const address = this.#roles.get(name)
    if (address !== undefined && this.inRole(name).length > 0) return address
    throw new HubError(
      'ERR_HUB_NO_MEMBER',
      `${attempt}: no member on this hub has the role ${JSON.stringify(name)}. ` +
        'Name it in the workers of startHub(), or hub.fork() it.',
    )
  }

  inRole(name: string): AddressedMember[] {
    return [...this.#members.values()].filter((member) => member.role === name)
  }

  /** The addresses that a message for these recipients is sent to. */
  addresses(to: Recipients, attempt: string): number[] {
    switch (to.kind) {
      case 'everybody':
        return [Address.Everybody]
      case 'others':
        return [Address.Others]
      case 'role':
        return [this.role(to.role as string, attempt)]
      default:
        return to.ids.map((id) => this.member(id, attempt).address)
    }
  }

  /** Whether a queue towards one of them is over its mark. */
  isPressed(to: Recipients): boolean {
    if (this.#pressed.size === 0) return false
    switch (to.kind) {
      case 'everybody':
      case 'others':
        return true
      case 'role':
        return this.inRole(to.role as string).some((member) => this.#pressed.has(member.address))
      default:
        return to.ids.some((id) => this.#pressed.has(this.#members.get(id)?.address ?? -1))
    }
  }
}

/** How an attempt reads in an error message. */
export function describe(to: Recipients): string {
  switch (to.kind) {
    case 'everybody':
      return 'everybody'
    case 'others':
      return 'everybody else'
    case 'role':
      return `role ${JSON.stringify(to.role)}`
    default:
      return to.ids.map((id) => JSON.stringify(id)).join(', ')
  }
}
