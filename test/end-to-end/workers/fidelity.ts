import { type Hub, joinHub } from 'hubwire'
import { assertError, assertSame, makeError, VALUES } from '../values.js'

/** Names that are hard to carry, as events, tasks and ids. */
export const HARD_NAMES = [
  'Grüße',
  '漢字',
  '🙂',
  '\ud83d',
  '\ude00x',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'x'.repeat(255),
  '字'.repeat(255),
  '\x11hubwire1\x11',
  'a\0b',
]

/** Looks at what arrives here, and sends what it is asked to send. */
export function takePart(hub: Hub): void {
  let problems: string[] = []
  let seen = 0
  const examine = (what: string, look: () => void) => {
    seen++
    try {
      look()
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`)
    }
  }

  hub.on('value', (name: string, value: unknown, ...rest: unknown[]) => {
    examine(`event with ${name}`, () => {
      assertSame(name, value)
      // How many there are is a part of it, and undefined ones count.
      if (rest.length !== 2 || rest[0] !== undefined || rest[1] !== name) throw new Error(`then came ${rest}`)
    })
  })
  // Alone in its message, where nothing beside it decides how it travels.
  for (const name of Object.keys(VALUES)) {
    hub.on(`value ${name}`, (...args: unknown[]) => {
      examine(`event of ${name} alone`, () => {
        if (args.length !== 1) throw new Error(`${args.length} arguments`)
        assertSame(name, args[0])
      })
    })
    hub.handle(`value ${name}`, (value: unknown) => {
      examine(`task of ${name} alone`, () => assertSame(name, value))
      return VALUES[name]?.()
    })
  }
  hub.on('nothing', (...args: unknown[]) => {
    examine('event without arguments', () => {
      if (args.length !== 0) throw new Error(`${args.length} arguments`)
    })
  })
  hub.on('error value', (error: unknown) => examine('event with an error', () => assertError(error)))
  hub.handle('value', async ({ name, value }: { name: string; value: unknown }) => {
    examine(`task with ${name}`, () => assertSame(name, value))
    return { name, value: VALUES[name]?.() }
  })
  hub.handle('error value', (error: unknown) => {
    examine('task with an error', () => assertError(error))
    return makeError()
  })
  for (const name of HARD_NAMES) {
    const look = (value: string) =>
      examine(JSON.stringify(name), () => {
        if (value !== name) throw new Error(`${JSON.stringify(value)} came`)
      })
    hub.on(`hard ${name}`.slice(0, 255), look)
    hub.on(name, look)
    hub.handle(name, look)
  }

  hub.handle('send everything', async (to: string) => {
    const target = hub.to(to)
    for (const [name, make] of Object.entries(VALUES)) {
      target.emit('value', name, make(), undefined, name)
      target.emit(`value ${name}`, make())
      const answer = await target.request('value', { name, value: make() })
      examine(`answer with ${name}`, () => assertSame(name, answer.value))
      const alone = await target.request(`value ${name}`, make())
      examine(`answer of ${name} alone`, () => assertSame(name, alone))
    }
    target.emit('nothing')
    target.emit('error value', makeError())
    const error = await target.request('error value', makeError())
    examine('answer with an error', () => assertError(error))
    for (const name of HARD_NAMES) {
      target.emit(name, name)
      target.emit(`hard ${name}`.slice(0, 255), name)
      await target.request(name, name)
    }
  })
  hub.handle('verdict', () => {
    const verdict = { seen, problems }
    seen = 0
    problems = []
    return verdict
  })

  // What one large message does to those around it.
  const around: unknown[] = []
  hub.on('small', (n: number) => around.push(n))
  hub.on('large text', (text: string) => {
    around.push(`text ${text.length} ${text.startsWith('<')} ${text.endsWith('>')}`)
  })
  hub.on('large binary', (bytes: Uint8Array) => {
    const whole = bytes.buffer.byteLength === bytes.byteLength
    around.push(`binary ${bytes.length} ${bytes[0]} ${bytes.at(-1)} ${whole}`)
  })
  hub.handle('echo', (value: unknown) => value)
  hub.handle('around', () => around.splice(0))
  hub.handle('send around', (to: string) => sendAround(hub, to))

  // Several binaries of one batch: whoever writes into one must not write into another.
  const held: Uint8Array[] = []
  hub.on('binary', (bytes: Uint8Array) => {
    held.push(bytes)
    if (held.length === 1) new Uint8Array(bytes.buffer).fill(255)
  })
  hub.handle('binaries', () => held.splice(0).map((bytes) => [bytes.byteLength, bytes.buffer.byteLength, bytes[0]]))
}

export const LARGE_TEXT = 5_000_000
export const LARGE_BINARY = 20_000_000
export const AROUND = 3000

/** Thousands of small ones around a large one, twice. */
function sendAround(hub: Hub, to: string): void {
  const target = hub.to(to)
  for (let n = 0; n < AROUND; n++) {
    if (n === 1000) target.emit('large text', `<${'x'.repeat(LARGE_TEXT - 4)}漢>`)
    if (n === 2000) target.emit('large binary', new Uint8Array(LARGE_BINARY).fill(7))
    target.emit('small', n)
  }
}

if (import.meta.filename === process.argv[1]) takePart(await joinHub())
