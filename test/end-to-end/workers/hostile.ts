// Writes its own batches, past the library: what a worker of another make, or out of its mind, might send.
import { joinHub } from 'hubwire'
import { MARKER } from '#lib/wire/batch.js'
import { callFrame, controlFrame, Kind, senderFrame } from '#lib/wire/frame.js'
import { eventFrame } from '../../wire/frames.js'

export interface Hostile {
  // Events and no task: it might forge the answer to its own order.
  events: {
    /** Sends that, about the process or seat at that address. */
    attack: (order: { what: string; address: number }) => void
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
const answers = (kind: number, address: number) => {
  // Whatever numbers its calls have.
  for (let call = 0; call < 50; call++) raw(MARKER + callFrame(kind, address, call, '"forged"'))
}

hub.handle('warnings', () => warnings)
hub.on('attack', ({ what, address }) => {
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
    case 'answer':
      answers(Kind.Response, address)
      answers(Kind.Failure, address)
      answers(Kind.Refusal, address)
      break
    case 'cancel':
      answers(Kind.Cancel, address)
      break
    case 'event':
      // Its own, with a body that nobody can read.
      raw(MARKER + eventFrame(0, address, 'news', '{"not'))
  }
  hub.to('primary').emit('attacked')
})
