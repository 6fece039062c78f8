import { show } from './checks.js'
import { invalid } from './errors.js'
import type { Target } from './types.js'

/** Whom a message is for. */
export class Recipients {
  readonly kind: 'member' | 'members' | 'role' | 'everybody' | 'others'
  readonly ids: readonly string[]
  readonly role: string
  /** The addresses that stand for them on the wire, as of `rosterVersion`. */
  addresses: readonly number[] = []
  rosterVersion = -1
  /** The heads of events to them, one for each address, by name: what need not be made anew for each event. */
  readonly heads = new Map<string, readonly string[]>()

  constructor(kind: Recipients['kind'], ids: readonly string[] = [], role = '') {
    this.kind = kind
    this.ids = ids
    this.role = role
  }

  /** As they read in an error message. */
  toString(): string {
    switch (this.kind) {
      case 'everybody':
        return 'everybody'
      case 'others':
        return 'everybody else'
      case 'role':
        return `role ${JSON.stringify(this.role)}`
      default:
        return this.ids.map((id) => JSON.stringify(id)).join(', ')
    }
  }
}

/**
 * Reads what a user gave to `hub.to(…)`, or to what `where` names. An empty list is nobody: what an application has
 * computed may well be empty.
 */
export function parseTarget(target: Target, where = 'hub.to'): Recipients {
  if (typeof target === 'string' || typeof target === 'number') return new Recipients('member', [String(target)])
  if (Array.isArray(target)) {
    const ids = (target as readonly unknown[]).map((id) => {
      if (typeof id === 'string' || typeof id === 'number') return String(id)
      throw invalid(`${where}([…]): each id must be a string or a number, not ${show(id)}.`)
    })
    return new Recipients('members', [...new Set(ids)])
  }
  if (typeof target === 'object' && target !== null && 'role' in target && typeof target.role === 'string') {
    return new Recipients('role', [], target.role)
  }
  throw invalid(`${where}(…): the target must be an id, a list of ids, or { role: '…' }, not ${show(target)}.`)
}
