import { HubError } from './errors.js'
import type { Recipients } from './recipients.js'
import type { AddressedMember } from './relay/control.js'
import type { Member } from './types.js'
import { Address } from './wire/frame.js'

/** What a member knows of the others: who they are, where they are reached, and whose queues are over their mark. */
export class Roster {
  // Maps, because ids are the user's: `__proto__` is an ordinary one.
  readonly #members = new Map<string, AddressedMember>()
  readonly #roles = new Map<string, number>()
  readonly #pressed = new Set<number>()
  #snapshot: readonly Member[] | undefined
  /** The id of the member whose roster it is. */
  self = ''
  /** Changes whenever an id may have another address than before. */
  version = 0

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
    if (!this.#members.has(member.id)) this.version++
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
    this.version++
    this.#snapshot = undefined
  }

  press(address: number, on: boolean): void {
    if (on) this.#pressed.add(address)
    else this.#pressed.delete(address)
  }

  /** @throws {HubError} `ERR_HUB_NO_MEMBER` */
  member(id: string, attempt: () => string): AddressedMember {
    const member = this.#members.get(id)
    if (member) return member
    if (this.inRole(id).length > 0) {
      const role = `{ role: ${JSON.stringify(id)} }`
      throw new HubError(
        'ERR_HUB_NO_MEMBER',
        `${attempt()}: nobody on this hub has the id ${JSON.stringify(id)}, which is a role. Use hub.to(${role}).`,
      )
    }
    const known = [...this.#members.keys()].slice(0, 10).map((name) => JSON.stringify(name))
    throw new HubError(
      'ERR_HUB_NO_MEMBER',
      `${attempt()}: nobody on this hub has the id ${JSON.stringify(id)}. There are: ${known.join(', ')}. ` +
        'Name it in the workers of startHub(), or hub.fork() it.',
    )
  }

  /** @throws {HubError} `ERR_HUB_NO_MEMBER` */
  role(name: string, attempt: () => string): number {
    const address = this.#roles.get(name)
    if (address !== undefined && this.inRole(name).length > 0) return address
    throw new HubError(
      'ERR_HUB_NO_MEMBER',
      `${attempt()}: no member on this hub has the role ${JSON.stringify(name)}. ${this.#knownRoles()} ` +
        'Name it in the workers of startHub(), or hub.fork() it.',
    )
  }

  #knownRoles(): string {
    const roles = new Set<string>()
    for (const { role } of this.#members.values()) if (role !== undefined) roles.add(JSON.stringify(role))
    return roles.size === 0 ? 'Nobody has one.' : `There are: ${[...roles].slice(0, 10).join(', ')}.`
  }

  inRole(name: string): AddressedMember[] {
    return [...this.#members.values()].filter((member) => member.role === name)
  }

  /**
   * The addresses that a message for these recipients is sent to.
   * @throws {HubError} `ERR_HUB_NO_MEMBER`, in words that begin with what was tried: the verb, and its event or task
   */
  addresses(to: Recipients, verb: string, name?: string): readonly number[] {
    if (to.rosterVersion === this.version) return to.addresses
    to.heads.clear()
    to.addresses = this.#resolve(to, verb, name)
    to.rosterVersion = this.version
    return to.addresses
  }

  #resolve(to: Recipients, verb: string, name: string | undefined): number[] {
    const attempt = () => `${verb}(${name === undefined ? '' : JSON.stringify(name)}) to ${to}`
    switch (to.kind) {
      case 'everybody':
        return [Address.Everybody]
      case 'others':
        return [Address.Others]
      case 'role':
        return [this.role(to.role, attempt)]
      default:
        return to.ids.map((id) => this.member(id, attempt).address)
    }
  }

  /** Whether a queue towards one of them is over its mark. */
  isPressed(to: Recipients): boolean {
    if (this.#pressed.size === 0) return false
    switch (to.kind) {
      case 'everybody':
        return true
      case 'others':
        return this.#pressed.size > 1 || !this.#pressed.has(this.#members.get(this.self)?.address ?? -1)
      case 'role':
        return this.inRole(to.role).some((member) => this.#pressed.has(member.address))
      default:
        return to.ids.some((id) => this.#pressed.has(this.#members.get(id)?.address ?? -1))
    }
  }
}
