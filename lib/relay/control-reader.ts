import { show } from '../checks.js'
import { HubError } from '../errors.js'
import { MAX_ADDRESS, MAX_NAME_LENGTH } from '../wire/frame.js'
import type { ToHub } from './control.js'

type Check = (value: unknown) => boolean
type Fields = Readonly<Record<string, Check>>

const isText: Check = (value) => typeof value === 'string'
const isName: Check = (value) => typeof value === 'string' && value.length <= MAX_NAME_LENGTH
const isFlag: Check = (value) => typeof value === 'boolean'
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0
const isCall: Check = (value) => isCount(value) && (value as number) <= 0xffffffff
const isAddress: Check = (value) => isCount(value) && (value as number) <= MAX_ADDRESS
/** A number of milliseconds; null for `Infinity`, which JSON does not have. */
const isTime: Check = (value) => value === null || (typeof value === 'number' && value >= 0)
const isConcurrency: Check = (value) => value === null || (isCount(value) && value !== 0)
const isTexts = listOf(isText)
const isData = shaped({ text: isText, bytes: optional(isText) })

function optional(check: Check): Check {
  return (value) => value === undefined || check(value)
}

function listOf(check: Check): Check {
  return (value) => Array.isArray(value) && value.every(check)
}

function shaped(fields: Fields): Check {
  const names = Object.keys(fields)
  return (value) =>
    typeof value === 'object' && value !== null && names.every((name) => fields[name]?.(own(value, name)))
}

/** Not what it inherits: a message may lack anything, and have any name. */
function own(target: object, name: string): unknown {
  return Object.hasOwn(target, name) ? (target as Record<string, unknown>)[name] : undefined
}

const SHAPES: { readonly [T in ToHub['t']]: Fields } = {
  hello: { protocol: isCount, version: isText },
  listen: { name: isName, on: isFlag },
  any: { on: isFlag },
  handle: { name: isName, concurrency: isConcurrency },
  unhandle: { name: isName },
  ready: {},
  drained: { n: isCount, to: listOf(isAddress) },
  pong: { n: optional(isCount) },
  attach: { nsp: isText, recovery: optional(shaped({ session: isTime, packets: isTime })) },
  detach: { nsp: isText },
  rooms: { nsp: isText, sockets: optional(isFlag), join: optional(isTexts), leave: optional(isTexts) },
  admit: { nsp: isText, to: (value) => value === null || isTexts(value), rooms: isTexts, frame: isText },
  leave: {},
  session: { nsp: isText, pid: isText, sid: isText, at: isText, rooms: isTexts, data: isData },
  'session-rooms': {
    nsp: isText,
    pid: isText,
    at: isText,
    join: optional(isTexts),
    fresh: optional(isFlag),
    leave: optional(isTexts),
  },
  'session-away': { nsp: isText, pid: isText, data: optional(isData) },
  'session-end': { nsp: isText, pid: isText },
  restore: { nsp: isText, n: isCall, pid: isText, offset: isText, again: optional(isFlag) },
  move: {
    to: isAddress,
    n: isCall,
    polls: optional(isFlag),
    sockets: listOf(shaped({ nsp: isText, pid: optional(isText), rooms: isTexts })),
    state: isData,
  },
  pass: { to: isAddress, n: isCall, op: isText, data: optional(isData) },
  take: { to: isAddress, n: isCall },
  unmoved: { count: isCount },
  serve: { socket: isText, tls: isFlag },
  unserve: {},
  connections: { taken: isCount, open: isCount },
  route: { to: optional(isAddress), kept: optional(isFlag) },
}

/** By name, and none that is inherited. */
const KINDS = new Map<string, Fields>(Object.entries(SHAPES))

/**
 * Reads what a member tells the hub. It comes from another process, which may be of another make or out of its mind: what
 * gets past here has the types that it says, so that nobody behind has to look.
 * @throws {HubError} `ERR_HUB_PROTOCOL`, with the name of what is wrong
 */
export function readToHub(body: string): ToHub {
  let message: unknown
  try {
    message = JSON.parse(body)
  } catch (cause) {
    throw unreadable(`${show(body)} is no JSON`, cause)
  }
  if (typeof message !== 'object' || message === null) throw unreadable(`${show(message)} is no message`)
  const kind = own(message, 't')
  const fields = typeof kind === 'string' ? KINDS.get(kind) : undefined
  if (!fields) throw unreadable(`there is no ${show(kind)}`)
  for (const name of Object.keys(fields)) {
    const value = own(message, name)
    if (!fields[name]?.(value)) throw unreadable(`the field "${name}" of ${show(kind)} cannot be ${show(value)}`)
  }
  return message as ToHub
}

function unreadable(why: string, cause?: unknown): HubError {
  return new HubError(
    'ERR_HUB_PROTOCOL',
    `A control message is malformed: ${why}. Do all processes run the same version of hubwire?`,
    cause === undefined ? undefined : { cause },
  )
}
