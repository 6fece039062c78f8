import type { Random } from './random.js'

/** What a character or byte becomes. The last ones are no bytes. */
const UNITS = [0, 1, 4, 8, 10, 13, 16, 34, 44, 91, 123, 127, 128, 255, 256, 0xd800, 0xdc00, 0xffff]

/** The longest that a mutation makes of anything. */
const MAX_LENGTH = 4096

/** A text with a few things wrong in it. */
export function mutateText(random: Random, text: string): string {
  let mutated = text
  for (let times = 1 + random.below(4); times > 0; times--) {
    const at = random.below(mutated.length + 1)
    const to = Math.min(mutated.length, at + 1 + random.below(random.chance(0.8) ? 4 : 64))
    const unit = String.fromCharCode(random.chance(0.5) ? random.pick(UNITS) : random.below(256))
    const before = mutated.slice(0, at)
    switch (random.below(6)) {
      case 0:
        mutated = before + unit + mutated.slice(at + 1)
        break
      case 1:
        mutated = before + mutated.slice(to)
        break
      case 2:
        mutated = before + unit + mutated.slice(at)
        break
      case 3:
        mutated = before + mutated.slice(at, to).repeat(1 + random.below(4)) + mutated.slice(to)
        break
      case 4:
        mutated = before
        break
      case 5:
        // One bit, which turns numbers into others nearby.
        if (at < mutated.length) {
          const flipped = String.fromCharCode(mutated.charCodeAt(at) ^ (1 << random.below(8)))
          mutated = before + flipped + mutated.slice(at + 1)
        }
    }
    if (mutated.length > MAX_LENGTH) mutated = mutated.slice(0, MAX_LENGTH)
  }
  return mutated
}

/** Bytes with a few things wrong in them, in memory of their own. */
export function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array {
  return Buffer.from(mutateText(random, Buffer.from(bytes).toString('latin1')), 'latin1')
}

/** Anything that JSON can say, where something else was expected. */
export function anything(random: Random, depth = 0): unknown {
  switch (random.below(depth > 2 ? 7 : 10)) {
    case 0:
      return null
    case 1:
      return random.chance(0.5)
    case 2:
      return random.number()
    case 3:
      return -random.number()
    case 4:
      return random.pick([0.5, 1e308, -1e-300, Number.MAX_SAFE_INTEGER])
    case 5:
      return random.pick(['', '__proto__', 'constructor', 'toString', '\0', '\ud800', '/', '../..', 'x'.repeat(300)])
    case 6:
      return mutateText(random, 'a text')
    case 7:
      return Array.from({ length: random.below(4) }, () => anything(random, depth + 1))
    case 8:
      return { [random.pick(['t', 'text', 'length', '__proto__', 'session'])]: anything(random, depth + 1) }
    default:
      return JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}')
  }
}
