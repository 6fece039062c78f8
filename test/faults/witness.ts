import { fromMessage, readBatch } from '#lib/wire/batch.js'
import { Kind, readCall, readKind } from '#lib/wire/frame.js'

/** Of calls that were given up so many may still be answered: the answer had set out before the hub knew. */
const CROSSING = 1000

/**
 * Looks at all answers that come to this worker's calls, past the library, which takes the first and forgets the rest:
 * none may come twice, and none to a call that this process never made. To be begun before the worker joins. Returns what
 * tells the number of its last call.
 */
export function watchAnswers(wrong: (words: string) => void): () => number {
  const open = new Set<number>()
  const givenUp = new Set<number>()
  let last = -1
  const send = process.send?.bind(process) as (...args: unknown[]) => boolean
  process.send = (message: unknown, ...more: unknown[]) => {
    visit(message, (kind, call) => {
      if (kind === Kind.Request) {
        last = Math.max(last, call)
        open.add(call)
      } else if (kind === Kind.Cancel && open.delete(call)) {
        givenUp.add(call)
        for (const oldest of givenUp) {
          if (givenUp.size <= CROSSING) break
          givenUp.delete(oldest)
        }
      }
    })
    return send(message, ...more)
  }
  process.on('message', (message) => {
    visit(message, (kind, call) => {
      if (kind !== Kind.Response && kind !== Kind.Failure && kind !== Kind.Refusal) return
      if (open.delete(call) || givenUp.delete(call)) return
      if (call > last) wrong(`an answer came to call ${call}, which this process never made`)
      else wrong(`call ${call} was answered twice`)
    })
  })
  return () => last
}

/** Garbage is somebody else's to find. */
function visit(message: unknown, look: (kind: number, call: number) => void): void {
  try {
    const batch = fromMessage(message)
    if (batch) readBatch(batch, (text, at) => look(readKind(text, at), readCall(text, at)))
  } catch {}
}
