/**
 * Tokens that say who somebody is. A name is all that it takes to get one: this is where a real app puts its own login,
 * with a password or a single sign-on, and a session cookie or a token of its own.
 *
 * What is real is the rest: the token is signed with a secret that the primary makes when it starts and gives to its
 * workers, so that any of them can check what another one has signed.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

const LIFETIME = 12 * 60 * 60 * 1000

const claims = z.object({ name: z.string(), expires: z.number() })

export class Login {
  readonly #secret: string

  constructor(secret: string | undefined) {
    if (!secret) throw new Error('CHAT_SECRET is missing: the primary gives it to its workers, see main.ts')
    this.#secret = secret
  }

  issue(name: string): string {
    const body = Buffer.from(JSON.stringify({ name, expires: Date.now() + LIFETIME })).toString('base64url')
    return `${body}.${this.#sign(body).toString('base64url')}`
  }

  /** Whom the token was given to; undefined if it is not one of ours, or has expired. */
  nameIn(token: string): string | undefined {
    const [body = '', signature = ''] = token.split('.')
    const given = Buffer.from(signature, 'base64url')
    const expected = this.#sign(body)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
    const { name, expires } = claims.parse(JSON.parse(Buffer.from(body, 'base64url').toString()))
    return expires > Date.now() ? name : undefined
  }

  #sign(body: string): Buffer {
    return createHmac('sha256', this.#secret).update(body).digest()
  }
}
