import { Worker } from 'node:worker_threads'
import { heap } from '../wire/heap.js'
import { batch, type Decoder, head, position, value } from './decoders.js'
import { Forger } from './forger.js'
import { Random } from './random.js'
import { World } from './world.js'

/** The decoders alone, and how many of 20 inputs each gets; the rest goes the whole way. */
const DECODERS: readonly (readonly [name: string, decode: Decoder, share: number])[] = [
  ['batch', batch, 5],
  ['value', value, 4],
  ['head', head, 3],
  ['position', position, 1],
]
const SHARES = 20

/** What one seed stands for: a world lives so long, and the next one begins afresh with the next seed. */
const WORLD_INPUTS = 100_000
/** A round is one process of the member that forges. */
const ROUND_INPUTS = 1000
/** An input that takes longer has hung. In milliseconds. */
const HUNG_AFTER = 20_000
/** What may be left when all is over, and when a world has seen its last input. */
const MAX_GROWTH = 32 << 20

export interface Outcome {
  inputs: number
  refused: number
  seconds: number
  /** Inputs by what they were given to. */
  parts: Record<string, number>
  /** Bytes more on the heap than at the beginning, when the last world has ended. */
  growth: number
  /** The same at the end of the world that had grown most, before it ended. */
  mostAlive: number
}

/**
 * Feeds inputs until there were so many, or time is up. Throws at the first that does harm, with the seed that repeats
 * it.
 */
export async function campaign(seed: number, inputs: number, seconds: number): Promise<Outcome> {
  const begun = performance.now()
  const outcome: Outcome = { inputs: 0, refused: 0, seconds: 0, parts: {}, growth: 0, mostAlive: 0 }
  const progress = new Int32Array(new SharedArrayBuffer(8))
  const watchdog = watch(progress)
  let before = 0
  try {
    for (let next = seed; outcome.inputs < inputs && performance.now() - begun < seconds * 1000; next++) {
      Atomics.store(progress, 1, next)
      try {
        const alive = await inWorld(next, Math.min(WORLD_INPUTS, inputs - outcome.inputs), outcome, progress)
        // What is made once, such as caches and compiled code, is made in the first world.
        if (before === 0) before = await heap()
        outcome.mostAlive = Math.max(outcome.mostAlive, alive - before)
      } catch (error) {
        throw new Error(`Seed ${next} does harm: npm run test:fuzz -- --seed ${next}`, { cause: error })
      }
    }
    outcome.growth = (await heap()) - before
  } finally {
    await watchdog.terminate()
  }
  outcome.seconds = (performance.now() - begun) / 1000
  if (outcome.growth > MAX_GROWTH || outcome.mostAlive > MAX_GROWTH) {
    throw new Error(`It has grown by ${outcome.growth} bytes, and by ${outcome.mostAlive} in a world`)
  }
  return outcome
}

/** Returns what was on the heap when all inputs had been fed. */
async function inWorld(seed: number, inputs: number, outcome: Outcome, progress: Int32Array): Promise<number> {
  const random = new Random(seed)
  const forger = new Forger(random, [0, 1, 2, 3, 16, 17, 18])
  const world = new World(random)
  await world.open()
  for (let left = inputs; left > 0; left -= Math.min(left, ROUND_INPUTS)) {
    const size = Math.min(left, ROUND_INPUTS)
    let relayed = size
    for (const [name, decode, share] of DECODERS) {
      const count = Math.floor((size * share) / SHARES)
      relayed -= count
      for (let i = 0; i < count; i++) {
        if (decode(random, forger)) outcome.refused++
        Atomics.add(progress, 0, 1)
      }
      outcome.parts[name] = (outcome.parts[name] ?? 0) + count
    }
    await world.round(relayed, () => Atomics.add(progress, 0, 1))
    outcome.parts.hub = (outcome.parts.hub ?? 0) + relayed
    outcome.inputs += size
  }
  outcome.refused += world.refused
  const alive = await heap()
  world.close()
  return alive
}

/**
 * A thread that ends this process when an input hangs: nobody else could. It counts its looks and not the clock, which
 * goes on while all of the process is stopped.
 */
function watch(progress: Int32Array): Worker {
  const code = `
    const { workerData: { progress, looks } } = require('node:worker_threads')
    let last = -1
    let same = 0
    setInterval(() => {
      const now = Atomics.load(progress, 0)
      same = now === last ? same + 1 : 0
      last = now
      if (same < looks) return
      require('node:fs').writeSync(2, 'Seed ' + Atomics.load(progress, 1) + ' hangs\\n')
      process.kill(process.pid, 'SIGKILL')
    }, 500)`
  const worker = new Worker(code, { eval: true, workerData: { progress, looks: HUNG_AFTER / 500 } })
  worker.unref()
  return worker
}
