import { define, isError } from './wire/errors.js'

/**
 * Shows in an error's stack who waits for the call that it rejects. Only an error that is made in an async function that
 * has been awaited knows that, and V8 finds it out when it is asked: calls that succeed pay nothing for it. Call this
 * directly in the function's `catch`.
 *
 * Nobody is found where the call's promise is not awaited itself, as with `Promise.all`.
 */
export function calledFromHere(error: unknown): unknown {
  if (!isError(error)) return error
  const here: { stack: string } = { stack: '' }
  Error.captureStackTrace(here, calledFromHere)
  // The first frame is the function that calls this.
  const callers = here.stack.split('\n').slice(2)
  const { message, stack } = error
  if (callers.length === 0 || typeof stack !== 'string') return error
  const start = stack.indexOf('\n    at ', Math.max(0, stack.indexOf(message)) + message.length)
  const end = start < 0 ? stack.length : start
  const [, own] = here.stack.split('\n')
  // What went wrong at once shows it already: the call was still on the stack.
  if (own && stack.includes(functionOf(own))) return error
  define(error, 'stack', `${stack.slice(0, end)}\n${callers.join('\n')}${stack.slice(end)}`, false)
  return error
}

/** `Scope.request (` of `    at async Scope.request (file.js:1:2)`. */
function functionOf(frame: string): string {
  return frame.replace(/^ +at (async )?/, '').replace(/\(.*$/, '(')
}
