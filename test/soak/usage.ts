import { heap } from '../wire/heap.js'

export interface Usage {
  /** Heap and buffers, after a collection. */
  bytes: number
  /** Handles, requests and timers that keep the process alive. */
  handles: number
}

/** What this process uses. */
export async function usage(): Promise<Usage> {
  return { bytes: await heap(), handles: process.getActiveResourcesInfo().length }
}
