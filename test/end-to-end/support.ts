import { type HubOptions, type PrimaryHub, startHub } from 'hubwire'

/** The compiled worker of this name. */
export const worker = (name: string) => new URL(`./workers/${name}.js`, import.meta.url)

/** How long something may take to happen before it never will, on a machine that is busy with other things. */
const PATIENCE = 60_000

/** A hub for one test, whose end waits for all of its processes. */
export function withHub(options: HubOptions, run: (hub: PrimaryHub) => Promise<void>): () => Promise<void> {
  return async () => {
    // Nobody is dropped for being slow on a busy machine.
    const hub = await startHub({ signals: false, slowAfter: PATIENCE, timeout: PATIENCE, ...options })
    try {
      await run(hub)
    } finally {
      await hub.close()
    }
  }
}

export async function until(condition: () => unknown, what: string): Promise<void> {
  const end = Date.now() + PATIENCE
  while (!condition()) {
    if (Date.now() > end) throw new Error(`It never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** What somebody waits for, and somebody else opens. */
export class Gate {
  readonly opened: Promise<void>
  open!: () => void

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve
    })
  }
}

export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('It did not reject')
}
