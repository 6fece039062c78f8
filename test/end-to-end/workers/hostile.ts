// Writes its own batches, past the library: what a worker of another make, or out of its mind, might send.
import { joinHub } from 'hubwire'
import { MAX_CALL } from '#lib/tasks/pending.js'
import { MARKER } from '#lib/wire/batch.js'
import { ASKING, callFrame, controlFrame, Kind, senderFrame } from '#lib/wire/frame.js'
import { answerKind, packetHeader, Scope } from '#lib/wire/packet.js'
import { eventFrame, requestFrame } from '../../wire/frames.js'

export interface Hostile {
  // Events and no task: it might forge the answer to its own order.
  events: {
    /** Sends that, about the process or seat at that address; where it is about calls, with so many numbers. */
    attack: (order: { what: string; address: number; calls: number }) => void
    /** To the primary, behind all that it sent. */
    attacked: () => void
  }
  tasks: {
    /** The warnings that this process was given. */
    warnings: () => string[]
  }
}

const hub = await joinHub<Hostile>()
const warnings: string[] = []
process.on('warning', ({ message }) => warnings.push(message))

const raw = (message: unknown) => process.send?.(message)
/** Frames about calls, by what they are called in orders. */
const ABOUT_CALLS: Record<string, number> = {
  response: Kind.Response,
  failure: Kind.Failure,
  refusal: Kind.Refusal,
  cancel: Kind.Cancel,
  answer: answerKind(false),
  'last-answer': answerKind(true),
}

hub.handle('warnings', () => warnings)
hub.on('attack', ({ what, address, calls }) => {
  switch (what) {
    case 'garbage':
      raw(`${MARKER}\0\0\0`)
      raw(MARKER + '\ud800'.repeat(1000))
      raw([MARKER, 'no binary'])
      raw([MARKER, new Uint8Array(3), { deep: [] }])
      break
    case 'length': {
      const long: unknown[] = [MARKER]
      long.length = 2 ** 32 - 1
      raw(long)
      break
    }
    case 'control':
      for (const body of ['', 'null', '{', '{"t":"drained","n":1,"to":null}', '{"t":"listen"}', '{"t":"__proto__"}']) {
        raw(MARKER + controlFrame(body))
      }
      break
    case 'sender':
      raw(MARKER + senderFrame(address, 1, 'victim', undefined) + eventFrame(0, 1, 'news', '["forged"]'))
      break
    case 'event':
      // Its own, with a body that nobody can read.
      raw(MARKER + eventFrame(0, address, 'news', '{"not'))
      break
    case 'event-to-nobody':
      raw(MARKER + eventFrame(0, address, 'news', '["forged"]'))
      break
    case 'packet-to-nobody':
      raw(MARKER + packetHeader(0, 0, 99, '/', '', 0))
      break
    case 'rooms':
      raw(MARKER + controlFrame('{"t":"rooms","nsp":"/","join":["own"]}'))
      break
    case 'request': {
      // Two calls with one number.
      const twice = requestFrame(0, address, MAX_CALL, 0, 0, 'slow', '')
      raw(MARKER + twice + twice)
      break
    }
    case 'question': {
      const twice = packetHeader(ASKING, 77, Scope.Servers, '/', '', 0)
      raw(MARKER + twice + twice)
      break
    }
    default: {
      const kind = ABOUT_CALLS[what]
      if (kind === undefined) throw new Error(`No attack is called ${what}`)
      // Whatever numbers these have.
      for (let call = 0; call < calls; call++) raw(MARKER + callFrame(kind, address, call, '"forged"'))
    }
  }
  hub.to('primary').emit('attacked')
})
