import { isIPv6 } from 'node:net'
import { checkOptions, show } from '../checks.js'
import { invalid } from '../errors.js'
import type { Sticky } from '../types.js'
import { cookie, field, type HeadPart, type RequestHead } from './request-head.js'
import { addressOf } from './session-id.js'
import { sessionAddress } from './session-path.js'

/** Where a connection belongs: to one incarnation, or to whoever a key leads to; neither: to anybody. */
export interface Affinity {
  readonly address?: number | undefined
  readonly key?: string | undefined
}

/** How connections find their workers. */
export interface Stickiness {
  /** What must be read of the first request; undefined: nothing. */
  readonly reads: HeadPart | undefined
  /** `remote` tells the remote address of the connection. */
  affinity(head: RequestHead, remote: () => string | undefined): Affinity
}

export const NOBODY: Affinity = {}

/** @throws {HubError} `ERR_INVALID_ARG_VALUE` */
export function stickiness(sticky: Sticky, path: string): Stickiness {
  if (sticky === false) return { reads: undefined, affinity: () => NOBODY }
  if (sticky === 'ip') return { reads: undefined, affinity: (_head, remote) => byAddress(remote()) }
  if (sticky === 'socket.io') {
    return {
      reads: 'line',
      affinity: ({ target }) => (target === undefined ? NOBODY : { address: sessionAddress(path, target) }),
    }
  }
  if (typeof sticky === 'object' && sticky !== null) {
    const { header, cookie: name } = checkOptions(sticky, ['header', 'cookie'], 'hub.listen(): sticky')
    if (isToken(header) && name === undefined) {
      const wanted = header.toLowerCase()
      return {
        reads: 'head',
        // Proxies append: the first one is the client.
        affinity: ({ fields }, remote) => byAddress(field(fields, wanted)?.split(',')[0]?.trim() || remote()),
      }
    }
    if (isToken(name) && header === undefined) {
      return { reads: 'head', affinity: ({ fields }) => byCookie(cookie(fields, name)) }
    }
  }
  throw invalid(
    'hub.listen(): sticky must be "socket.io", "ip", { header: "x-forwarded-for" }, { cookie: "name" } or false, ' +
      `not ${show(sticky)}.`,
  )
}

export function byAddress(remote: string | undefined): Affinity {
  return remote === undefined ? NOBODY : { key: canonicalAddress(remote) }
}

/** A session id may stand in a cookie, too: engine.io's option `cookie` puts it there. Any other value is a key. */
function byCookie(value: string | undefined): Affinity {
  if (!value) return NOBODY
  const address = addressOf(value)
  return address === undefined ? { key: value } : { address }
}

/** One client, one text: an IPv4 address may come mapped into IPv6, and an IPv6 address in many spellings. */
export function canonicalAddress(remote: string): string {
  const bare = remote.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
  if (!isIPv6(bare) || bare.includes('%')) return bare
  const shortest = new URL(`http://[${bare}]`).hostname.slice(1, -1)
  const hex = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(shortest)
  if (!hex) return shortest
  const number = Number.parseInt(hex[1] as string, 16) * 65_536 + Number.parseInt(hex[2] as string, 16)
  return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join('.')
}

/** FNV-1a. Whoever can find collisions of it can choose a worker, and no more. */
export function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  }
  // FNV's last characters hardly reach the high bits, which decide below.
  value ^= value >>> 15
  value = Math.imul(value, 0x2c1b3c6d)
  return (value ^ (value >>> 13)) >>> 0
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value)
}
