/** What comes from outside, and how much of it: everything a page or a client of the HTTP routes may send. */
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'

const MAX_BODY = 8 * 1024

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused here
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/

/** A user's name: what is seen is what it is, so nothing invisible. */
const name = z
  .string()
  .trim()
  .normalize('NFC')
  .min(1, 'give a name')
  .max(24, 'a name has at most 24 characters')
  .refine((value) => !CONTROLS.test(value), 'a name has only characters that can be seen')

const text = z.string().trim().min(1, 'write something').max(2000, 'a message has at most 2000 characters')
const key = z.string().regex(/^[\w-]{8,40}$/, 'a key is 8 to 40 letters or digits')

export const loginInput = z.strictObject({ name })
export const sayInput = z.strictObject({ text, key, to: name.optional() })
export const typingInput = name.optional()
export const publishInput = z.strictObject({ text, from: name.default('curl') })
/** What a tab says of itself when it connects. */
export const handshakeInput = z.object({ token: z.string().max(1000), after: z.int().min(0).catch(0) })

/** Something from outside is not what it should be: the message says what, for the one who sent it. */
export class BadInput extends Error {
  readonly status: number

  constructor(message: string, status = 400) {
    super(message)
    this.status = status
  }
}

/** The value as its schema has it. Throws `BadInput`. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new BadInput(
    parsed.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; '),
  )
}

/** The body of a request, which must be JSON and say so: a page of another site cannot send that unasked. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json *(;|$)/i.test(request.headers['content-type'] ?? '')) {
    request.resume()
    throw new BadInput('send JSON, with "content-type: application/json"', 415)
  }
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length
    if (length > MAX_BODY) {
      // The rest is let through unread: who is still writing would miss an answer.
      request.resume()
      throw new BadInput(`send at most ${MAX_BODY} bytes`, 413)
    }
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch (error) {
    throw new BadInput(`not JSON: ${(error as Error).message}`)
  }
}
