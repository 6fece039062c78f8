import { decodeArguments, encodeArguments } from './codec.js'

/** A value as control messages carry it: text, and what is no text as base64. */
export interface Portable {
  readonly text: string
  readonly bytes?: string | undefined
}

/**
 * @param what How an error calls it.
 * @throws {HubError} `ERR_HUB_PAYLOAD` when it cannot be cloned
 */
export function pack(value: unknown, what: string): Portable {
  const { text, bytes } = encodeArguments([value], what)
  return bytes ? { text, bytes: Buffer.from(bytes).toString('base64') } : { text }
}

/** Throws when it cannot be read. */
export function unpack({ text, bytes }: Portable): unknown {
  return decodeArguments(text, bytes === undefined ? undefined : Buffer.from(bytes, 'base64'))[0]
}
