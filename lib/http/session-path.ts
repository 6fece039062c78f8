import { addressOf } from './session-id.js'

const PARAMETER = /[?&]sid=([^&#]*)/

/** A path as requests are compared with it: without a slash at its end. */
export function normalisePath(path: string): string {
  return path.replace(/\/+$/, '')
}

/** Whether a request's target is at this path or below it. `path` as `normalisePath` made it. */
export function isBelow(path: string, target: string): boolean {
  if (!target.startsWith(path)) return false
  const next = target[path.length]
  return next === '/' || next === '?' || next === undefined
}

/** The session id that a request below `path` names, ours or not. */
export function sessionOf(path: string, target: string): string | undefined {
  if (!isBelow(path, target)) return undefined
  const id = PARAMETER.exec(target)?.[1]
  return id?.includes('%') ? decoded(id) : id
}

/** The incarnation that the session of a request below `path` lives in; undefined where it has none of ours. */
export function sessionAddress(path: string, target: string): number | undefined {
  const id = sessionOf(path, target)
  return id === undefined ? undefined : addressOf(id)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
