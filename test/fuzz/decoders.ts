import assert from 'node:assert/strict'
import { HubError } from 'hubwire'
import { cookie, field, isComplete, isTls, parseHead } from '#lib/http/request-head.js'
import { addressOf } from '#lib/http/session-id.js'
import { sessionAddress } from '#lib/http/session-path.js'
import { canonicalAddress, stickiness } from '#lib/http/sticky.js'
import { fromMessage, isHubMessage, MARKER, readBatch, withoutEvents } from '#lib/wire/batch.js'
import { decodeArguments, decodeError, decodeValue } from '#lib/wire/codec.js'
import { messageCount } from '#lib/wire/frame.js'
import { covers, readPosition, writePosition } from '#lib/wire/position.js'
import type { Forger } from './forger.js'
import { anything, mutateText } from './mutation.js'
import type { Random } from './random.js'

/** Feeds one input to a decoder. Returns whether that refused it; throws when anything but a refusal comes of it. */
export type Decoder = (random: Random, forger: Forger) => boolean

function isRefused(decode: () => unknown): boolean {
  try {
    decode()
    return false
  } catch (error) {
    if (error instanceof HubError && error.code === 'ERR_HUB_PROTOCOL') return true
    throw error
  }
}

/** A message of the channel, and the frames in it. */
export const batch: Decoder = (random, forger) => {
  const { text, attachments } = forger.frames()
  const whole = random.chance(0.05) ? mutateText(random, MARKER + text) : MARKER + text
  let message: unknown = attachments.length === 0 ? whole : [whole, ...attachments]
  if (random.chance(0.05)) message = random.chance(0.5) ? anything(random) : [whole, anything(random)]
  if (random.chance(0.01)) {
    const long: unknown[] = [whole]
    long.length = random.number()
    message = long
  }
  return isRefused(() => {
    const isOurs = isHubMessage(message)
    const read = fromMessage(message)
    assert.equal(isOurs, read !== undefined)
    if (!read) return
    let end = MARKER.length
    let events = 0
    let frames = 0
    readBatch(read, (text, at, length) => {
      assert.equal(at, end, 'frames follow each other')
      end = at + length
      frames += messageCount(text, at)
    })
    assert.equal(end, read.text.length, 'and fill the batch')
    const thinned = withoutEvents(read)
    readBatch(thinned.batch, () => {
      events++
    })
    assert.ok(events + thinned.dropped <= frames && thinned.batch.text.length <= read.text.length)
  })
}

/** An encoded value. */
export const value: Decoder = (random, forger) => {
  const bytes = random.chance(0.7) ? forger.bytes() : undefined
  const text = random.chance(0.5) ? mutateText(random, JSON.stringify(anything(random))) : ''
  const decode = random.pick([decodeValue, decodeArguments, (t: string, b?: Uint8Array) => decodeError(t, b, 'x')])
  const refused = isRefused(() => decode(text, bytes))
  assert.equal(({} as { polluted?: boolean }).polluted, undefined)
  return refused
}

const HEADS = [
  'GET /socket.io/?EIO=4&transport=polling&sid=1a.AAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\nHost: x\r\nCookie: a=b; sid=1.x\r\n\r\n',
  'POST http://h/socket.io/?sid=__proto__ HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
  'GET /socket.io/../?sid=%00%ff%E0%A4%A HTTP/1.0\n\n',
  '\r\n\r\nGET / HTTP/1.1\r\nX-Forwarded-For: [::ffff:1.2.3.4]:80, ::1%eth0\r\n folded: yes\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
]
const MODES = [
  stickiness('socket.io', '/socket.io'),
  stickiness({ header: 'x-forwarded-for' }, '/socket.io'),
  stickiness({ cookie: 'sid' }, '/socket.io'),
]
const REMOTES = ['127.0.0.1', '::1', '::ffff:1.2.3.4', 'fe80::1%eth0']

/** What the primary reads of a connection before it knows where that belongs. */
export const head: Decoder = (random) => {
  const text = mutateText(random, random.pick(HEADS))
  const bytes = Buffer.from(text, random.chance(0.8) ? 'latin1' : 'utf8')
  isTls(bytes)
  for (const mode of MODES) {
    const part = mode.reads ?? 'line'
    // Read also where it is not complete, as it is when the client has ended.
    const complete = isComplete(bytes, part)
    const read = parseHead(bytes, part)
    if (!complete && part === 'line') assert.equal(read.target, undefined)
    const { address } = mode.affinity(read, () => random.pick(REMOTES))
    assert.ok(address === undefined || (Number.isInteger(address) && address >= 0 && address < 36 ** 5))
    field(read.fields, 'host')
    cookie(read.fields, 'sid')
  }
  canonicalAddress(mutateText(random, random.pick(REMOTES)))
  addressOf(mutateText(random, '1a.AAAAAAAAAAAAAAAAAAAA'))
  return sessionAddress('/socket.io', mutateText(random, '/socket.io/?a=b&sid=1a.AAAAAAAAAAAAAAAAAAAA')) === undefined
}

/** How far a client says that it has got. */
export const position: Decoder = (random) => {
  const read = readPosition(mutateText(random, random.pick(['g.1.2', 'zzzzz.zzzzzzzzzz.zzzzzzzzzz', '0.0.0'])))
  if (!read) return true
  for (const part of [read.origin, read.hub, read.local]) assert.ok(Number.isFinite(part) && part >= 0)
  assert.ok(covers(read, read))
  readPosition(writePosition(read))
  return false
}
