import { fromMessage, readBatch } from '#lib/wire/batch.js'
import { Kind, readCall, readKind } from '#lib/wire/frame.js'

/**
 * Looks at all answers that come to this worker's calls, past the library, which takes the first and forgets the rest:
 * none may come twice, and none to a call that this process never made. To be begun before the worker joins.
 */
export function watchAnswers(wrong: (words: string) => void): void {
  const asked = new Set<number>()
  const answered = new Set<number>()
  const send = process.send?.bind(process) as (...args: unknown[]) => boolean
  process.send = (message: unknown, ...more: unknown[]) => {
    visit(message, (text, at) => {
      if (readKind(text, at) !== Kind.Request) return
      asked.add(readCall(text, at))
      answered.delete(readCall(text, at))
    })
    return send(message, ...more)
  }
  process.on('message', (message) => {
    visit(message, (text, at) => {
      const kind = readKind(text, at)
      if (kind !== Kind.Response && kind !== Kind.Failure && kind !== Kind.Refusal) return
      const call = readCall(text, at)
      if (!asked.has(call)) wrong(`an answer came to call ${call}, which this process never made`)
      else if (answered.has(call)) wrong(`call ${call} was answered twice`)
      answered.add(call)
    })
  })
}

/** Garbage is somebody else's to find. */
function visit(message: unknown, look: (text: string, at: number) => void): void {
  try {
    const batch = fromMessage(message)
    if (batch) readBatch(batch, (text, at) => look(text, at))
  } catch {}
}
