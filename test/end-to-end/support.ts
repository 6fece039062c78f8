import { type HubOptions, type PrimaryHub, startHub } from 'hubwire'
import { PATIENCE, TRANSPORT } from '../conditions.js'

export { failure as rejection, until } from '../conditions.js'

/** The compiled worker of this name. */
export const worker = (name: string) => new URL(`./workers/${name}.js`, import.meta.url)

/** A hub for one test, whose end waits for all of its processes. */
export function withHub(options: HubOptions, run: (hub: PrimaryHub) => Promise<void>): () => Promise<void> {
  return async () => {
    // Nobody is dropped for being slow on a busy machine.
    const hub = await startHub({ signals: false, slowAfter: PATIENCE, timeout: PATIENCE, ...TRANSPORT, ...options })
    try {
      await run(hub)
    } finally {
      await hub.close()
    }
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
