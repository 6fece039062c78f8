import { eventHead, eventHeader, manyHeader, requestHeader } from '#lib/wire/frame.js'

/** A whole Event frame, of which the library writes header and body apart. */
export function eventFrame(flags: number, address: number, name: string, body: string): string {
  return eventHeader(flags, eventHead(address, name), body.length) + body
}

/** Several of them in one frame. `body`: the list of theirs. */
export function manyFrame(flags: number, address: number, name: string, count: number, body: string): string {
  return manyHeader(flags, eventHead(address, name), body.length, count) + body
}

/** A whole Request frame. */
export function requestFrame(
  flags: number,
  address: number,
  call: number,
  deadline: number,
  retries: number,
  name: string,
  body: string,
): string {
  return requestHeader(flags, address, call, deadline, retries, name, body.length) + body
}
