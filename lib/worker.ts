import type { SendHandle } from 'node:child_process'
import cluster from 'node:cluster'
import { Socket } from 'node:net'
import { checkOptions, show } from './checks.js'
import type { Contract, UntypedContract } from './contract.js'
import { surface } from './emitter.js'
import { HubError, invalid } from './errors.js'
import { HandleChannel } from './http/handle-channel.js'
import { Inlet } from './http/inlet.js'
import { isRawHandle } from './http/raw-handle.js'
import { type HandoverOrder, Member } from './member.js'
import { isPm2Cluster, PM2_CURE } from './process-manager.js'
import { PROTOCOL } from './relay/control.js'
import { type Schemas, Validator } from './schema.js'
import { type HeldSignals, holdSignals } from './supervisor/signals.js'
import { after } from './timers.js'
import type { HttpServer, WorkerHub } from './types.js'
import { VERSION } from './version.js'
import { type Batch, fromMessage, type Message } from './wire/batch.js'
import { Pipe } from './wire/pipe.js'
import { type Handle, IpcTransport, PipeTransport } from './wire/transport.js'

/** The options of `joinHub()`. */
export interface JoinOptions<C extends Contract = UntypedContract> {
  /** `manual`: this member takes no messages before it calls `hub.ready()`. @default 'auto' */
  ready?: 'auto' | 'manual'
  /** Validators of what this worker sends, and of what arrives here unvalidated, for those who want them. */
  schemas?: Schemas<C>
  /**
   * Called when the hub stops this member, after its tasks have been answered: the place to close servers and
   * databases. The process ends when it settles, and is killed after `gracePeriod`.
   */
  onStop?: (hub: WorkerHub<C>) => void | Promise<void>
}

/** How long the primary may take to answer before it is no hub, in milliseconds. */
const WELCOME_TIMEOUT = 30_000

let joined: Worker | undefined

/**
 * Joins the hub of the primary that forked this worker. The member is ready one `setImmediate` after this resolved, so
 * that what is registered at once misses nothing, or when it calls `hub.ready()`.
 * @throws {HubError} `ERR_HUB_PROTOCOL` when the primary is no hub, or speaks another protocol; `ERR_HUB_TIMEOUT` when
 * it does not answer within 30 s; `ERR_HUB_CLOSED` when the channel is closed; `ERR_INVALID_ARG_VALUE`
 */
export async function joinHub<C extends Contract = UntypedContract>(
  options: JoinOptions<C> = {},
): Promise<WorkerHub<C>> {
  checkOptions(options, ['ready', 'schemas', 'onStop'], 'joinHub()')
  const { ready = 'auto', schemas, onStop } = options
  if (ready !== 'auto' && ready !== 'manual')
    throw invalid(`joinHub(): ready must be "auto" or "manual", not ${show(ready)}.`)
  if (onStop !== undefined && typeof onStop !== 'function')
    throw invalid(`joinHub(): onStop must be a function, not ${show(onStop)}.`)
  if (joined) throw invalid('joinHub() was called twice in this process. There is one hub: pass it on.')
  assertHub()
  // Worker is typed for every contract; which one it is, only the types know.
  const worker = new Worker(new Validator(schemas), (stopped) => onStop?.(stopped as unknown as WorkerHub<C>))
  joined = worker
  try {
    await worker.start()
  } catch (error) {
    joined = undefined
    throw error
  }
  // Processes that this one forks are no workers of the hub.
  delete process.env.HUBWIRE_PROTOCOL
  delete process.env.HUBWIRE_PIPE
  if (ready === 'auto') setImmediate(() => worker.closed || worker.ready())
  return worker as unknown as WorkerHub<C>
}

function assertHub(): void {
  if (cluster.isPrimary) {
    throw invalid(
      'joinHub() was called in a process that is no cluster worker. It belongs into the workers; ' +
        'the primary, which forks them, calls startHub().',
    )
  }
  if (!process.connected) {
    throw new HubError(
      'ERR_HUB_CLOSED',
      'joinHub(): the channel to the primary is closed already. Join before you disconnect.',
    )
  }
  const protocol = process.env.HUBWIRE_PROTOCOL
  if (protocol === undefined && isPm2Cluster()) {
    throw new HubError(
      'ERR_HUB_PROTOCOL',
      `joinHub(): PM2 forked this worker, because it runs this app in cluster mode, and PM2 is no hub. ${PM2_CURE}`,
    )
  }
  if (isJsonChannel()) {
    throw new HubError(
      'ERR_HUB_PROTOCOL',
      "joinHub(): this worker's channel has serialization 'json', which cannot carry the hub's messages. " +
        "Let startHub() fork the workers: it forks them with serialization 'advanced', and leaves your own settings alone.",
    )
  }
  if (protocol !== undefined && protocol !== String(PROTOCOL)) {
    throw new HubError(
      'ERR_HUB_PROTOCOL',
      `joinHub(): the primary's hubwire speaks version ${protocol} of the protocol, this worker's (${VERSION}) speaks ` +
        `version ${PROTOCOL}. Install one version for both, and restart the primary.`,
    )
  }
  if (protocol === undefined) {
    throw new HubError(
      'ERR_HUB_PROTOCOL',
      'joinHub(): no hub forked this worker, but cluster.fork() itself, or a process manager in cluster mode: its ' +
        'primary is no hub for it. Name it in startHub({ workers: […] }), or hub.fork() it.',
    )
  }
}

/**
 * Node tells nobody how a channel serialises. What can be sent over neither kind is refused by each in its own words,
 * and nothing is sent: JSON stops at the circle, which structured clone passes, to stop at the function.
 */
function isJsonChannel(): boolean {
  try {
    const circle: unknown[] = []
    circle.push(circle, () => {})
    process.send?.(circle)
  } catch (error) {
    return error instanceof TypeError && /circular/.test(error.message)
  }
  return false
}

/** The pipe that the hub gave this process, if it did. The channel alone decides how long the process lives. */
function openPipe(): Socket | undefined {
  const fd = process.env.HUBWIRE_PIPE
  if (fd === undefined) return undefined
  const socket = new Socket({ fd: Number(fd) })
  socket.on('error', () => {})
  return socket.unref()
}

/** Never throws. */
function send(message: Message, done: (error: Error | null) => void, handle?: Handle): void {
  if (!process.connected || !process.send) {
    process.nextTick(done, new Error('The channel to the primary is closed.'))
    return
  }
  try {
    // Node's types know neither arrays as messages, nor raw handles, nor a callback without a handle.
    process.send(message, handle as SendHandle | undefined, undefined, done)
  } catch (error) {
    process.nextTick(done, error as Error)
  }
}

/** A worker as a member. */
class Worker extends Member {
  readonly #whenStopped: (worker: Worker) => void | Promise<void>
  readonly #signals: HeldSignals
  readonly #handles: HandleChannel
  readonly #pipe: Socket | undefined
  #inlet: Inlet | undefined
  #closing: Promise<void> | undefined
  #stopping = false
  #handover: AbortController | undefined

  constructor(validator: Validator, whenStopped: (worker: Worker) => void | Promise<void>) {
    const handles = new HandleChannel(process, send)
    const channel = new IpcTransport(send, handles.send)
    const pipe = openPipe()
    super({
      transport: pipe ? new PipeTransport(new Pipe(pipe, (read) => this.#receive(read)), channel) : channel,
      validator,
      onStop: () => this.#stop(),
      onHandover: (order) => this.#handOver(order),
      onOrphaned: () => this.#handover?.abort(),
    })
    this.#handles = handles
    this.#pipe = pipe
    this.#whenStopped = whenStopped
    this.#signals = holdSignals()
    process.on('message', this.#onMessage)
    process.on('disconnect', this.#onDisconnect)
    pipe?.once('close', this.#onDisconnect)
  }

  async start(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new HubError(
            'ERR_HUB_TIMEOUT',
            `joinHub(): the primary did not answer within ${WELCOME_TIMEOUT} ms. Look what keeps its event loop busy.`,
          ),
        )
      }, WELCOME_TIMEOUT)
    })
    try {
      await Promise.race([this.join(), patience])
    } catch (error) {
      this.#detach()
      this.finish()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  serve(server: HttpServer): void {
    this.#inlet ??= new Inlet(this)
    this.#inlet.serve(server)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.leave()
    // The hub no longer stops this process in its own way: who wants it to end sends it a signal.
    this.#signals.keep()
    await this.drain()
    this.finish()
    this.#detach()
    // cluster itself listens on the channel, which would keep a process alive that has nothing left to do.
    if (process.connected) process.channel?.unref()
  }

  /** Another process takes over: it gets what can be handed over, and this one finishes its work. */
  async #handOver({ to, within, gracePeriod }: HandoverOrder): Promise<void> {
    if (this.#stopping || this.#handover) return
    const end = performance.now() + (gracePeriod ?? Number.POSITIVE_INFINITY)
    const handover = new AbortController()
    this.#handover = handover
    const time = within ?? Number.POSITIVE_INFINITY
    const timer = after(time, () => handover.abort())
    this.http?.handOver(to.address)
    await this.handoverSteps.run({ successor: to, within: time, signal: handover.signal }, (error) => {
      console.error(`Hubwire: a part of the handover of ${JSON.stringify(this.id)} failed:`, error)
    })
    clearTimeout(timer)
    await this.#stop(Math.max(0, end - performance.now()))
  }

  async #stop(within?: number): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    this.#handover?.abort()
    this.beginClosing()
    try {
      await this.drain(within)
      await this.#whenStopped(this)
      await this.drain()
    } catch (error) {
      console.error(`Hubwire: onStop of ${JSON.stringify(this.id)} failed:`, error)
      process.exitCode ||= 1
    }
    process.exit()
  }

  readonly #onMessage = (message: unknown, handle: unknown) => {
    const batch = fromMessage(message)
    if (batch) this.receive(batch, isRawHandle(handle) ? handle : undefined)
  }

  /** From the pipe. What is wrong with one batch surfaces, and keeps no other from being read. */
  #receive(read: () => Batch): void {
    try {
      this.receive(read())
    } catch (error) {
      surface(error)
    }
  }

  /**
   * The primary is gone. Node ends a worker then, unless somebody has called `worker.disconnect()`: so does the hub.
   */
  readonly #onDisconnect = () => {
    this.finish()
    process.exit()
  }

  #detach(): void {
    this.#signals.release()
    this.#handles.close()
    process.removeListener('message', this.#onMessage)
    process.removeListener('disconnect', this.#onDisconnect)
    this.#pipe?.off('close', this.#onDisconnect)
    this.#pipe?.end()
  }
}

// The types refuse these; in plain JavaScript "is not a function" would not say where they belong.
for (const verb of ['fork', 'stop', 'restart', 'reload', 'scale', 'listen']) {
  Object.defineProperty(Worker.prototype, verb, {
    value: () => {
      throw invalid(
        `hub.${verb}() is a call of the primary, and this is a worker. Call it on what startHub() returned.`,
      )
    },
  })
}
