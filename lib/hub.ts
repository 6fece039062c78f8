import cluster from 'node:cluster'
import type { Contract, UntypedContract } from './contract.js'
import { invalid } from './errors.js'
import { type HubOptions, readOptions } from './options.js'
import { Primary } from './primary.js'
import { isPm2Cluster, PM2_CURE } from './process-manager.js'
import type { PrimaryHub } from './types.js'

/** One process is one hub. */
let running: Primary | undefined

/**
 * Makes this process the hub: forks the workers, looks after them, and relays between them. Resolves when every worker
 * is ready. When one is not, it rejects with its exit code and the last of its stderr, and no process is left.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE`; `ERR_HUB_MEMBER_EXITED` and `ERR_HUB_TIMEOUT` when a worker does not
 * start
 */
export async function startHub<C extends Contract = UntypedContract>(
  options: HubOptions<C> = {},
): Promise<PrimaryHub<C>> {
  if (!cluster.isPrimary && isPm2Cluster()) {
    throw invalid(`startHub() was called in a worker of PM2, which runs this app in cluster mode. ${PM2_CURE}`)
  }
  if (!cluster.isPrimary) {
    throw invalid('startHub() was called in a worker. It belongs in the primary; a worker calls joinHub().')
  }
  if (running) {
    throw invalid('startHub() was called twice in this process. There is one hub: pass it on, or close it first.')
  }
  const hub = new Primary(readOptions(options), () => {
    if (running === hub) running = undefined
  })
  running = hub
  const opens = options.ready !== 'manual'
  try {
    await hub.start(options.workers ?? [], opens)
  } catch (error) {
    // A signal came meanwhile. The process ends in order, as it was told: that is no failure to report.
    if (hub.ending) await new Promise(() => {})
    await hub.abandon()
    throw error
  }
  if (opens) setImmediate(() => hub.closed || hub.ready())
  // Primary is typed for every contract; which one it is, only the types know.
  return hub as unknown as PrimaryHub<C>
}
