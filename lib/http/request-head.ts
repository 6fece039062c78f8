/** What is known of a connection's first request. */
export interface RequestHead {
  /** The target of its request line; undefined when what came is no HTTP/1 at all. */
  readonly target: string | undefined
  /** The lines behind the request line, where they were read. */
  readonly fields: string
}

/** `line`: up to the end of the request line. `head`: up to the empty line behind the headers. */
export type HeadPart = 'line' | 'head'

const LF = 10
const CR = 13
/** The first byte of a TLS handshake; no request line begins so. */
const TLS_HANDSHAKE = 22

/** Whether somebody speaks TLS here. */
export function isTls(bytes: Uint8Array): boolean {
  return bytes[0] === TLS_HANDSHAKE
}

/** Whether the bytes hold that part of a request. */
export function isComplete(bytes: Buffer, part: HeadPart): boolean {
  const start = lineStart(bytes)
  if (part === 'line') return bytes.indexOf(LF, start) >= 0
  // As lenient as parsers are: a line ends with a line feed, whatever stands before it.
  for (let at = bytes.indexOf(LF, start); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    const next = bytes[at + 1]
    if (next === LF || (next === CR && bytes[at + 2] === LF)) return true
  }
  return false
}

/** Reads what `isComplete` has found; of a request that ended before, nothing. */
export function parseHead(bytes: Buffer, part: HeadPart): RequestHead {
  const start = lineStart(bytes)
  const lineEnd = bytes.indexOf(LF, start)
  if (lineEnd < 0) return { target: undefined, fields: '' }
  const target = /^[^ ]+ ([^ ]+) HTTP\/1\.[01]\r?$/.exec(bytes.toString('latin1', start, lineEnd))?.[1]
  if (part === 'line') return { target, fields: '' }
  const rest = bytes.toString('latin1', lineEnd + 1)
  const end = /^\r?\n|\n\r?\n/.exec(rest)
  return { target, fields: end ? rest.slice(0, end.index) : '' }
}

/** The first value of a header field, without the space around it. `name` in lower case. */
export function field(fields: string, name: string): string | undefined {
  for (const line of fields.split('\n')) {
    const colon = line.indexOf(':')
    if (line.slice(0, colon).toLowerCase() === name) return line.slice(colon + 1).trim()
  }
  return undefined
}

/** A cookie's value, as it stands in the header. */
export function cookie(fields: string, name: string): string | undefined {
  for (const pair of field(fields, 'cookie')?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    if (pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}

/** Empty lines before a request are to be ignored: some clients send one behind a body. */
function lineStart(bytes: Buffer): number {
  let at = 0
  while (bytes[at] === CR || bytes[at] === LF) at++
  return at
}
