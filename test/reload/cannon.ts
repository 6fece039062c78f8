/// <reference path="../../bench/autocannon.d.ts" />
import autocannon from 'autocannon'

/** Longer than any test may last. */
const LONG = 600

export interface Fired {
  answered: number
  failures: { errors: number; timeouts: number; non2xx: number; resets: number }
}

/** Sends requests as fast as they are answered, until what this returns is called. */
export function cannonade(
  port: number,
  options: { connections: number; pipelining?: number; method?: string; body?: string },
): () => Promise<Fired> {
  const running = autocannon({ url: `http://127.0.0.1:${port}/`, duration: LONG, ...options })
  return async () => {
    running.stop()
    const { errors, timeouts, non2xx, resets, ...rest } = await running
    return { answered: rest['2xx'], failures: { errors, timeouts, non2xx, resets } }
  }
}
