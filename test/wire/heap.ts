import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { turn } from './fake-transport.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** The least of some: what a turn left on the stack is still reached by the first collection. */
export async function heap(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 4; i++) {
    await turn()
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    least = Math.min(least, heapUsed + arrayBuffers)
  }
  return least
}
