import { checkDuration, checkNumber, checkOptions } from './checks.js'
import type { Contract, UntypedContract } from './contract.js'
import { invalid } from './errors.js'
import type { ExchangeOptions } from './exchange.js'
import type { RecoveryLimits } from './relay/recovery-log.js'
import { type Schemas, Validator } from './schema.js'
import { SUPERVISION_OPTIONS } from './supervisor/options.js'
import type { SupervisionOptions, WorkerSpec } from './types.js'

/** The options of `startHub()`. Those of supervision hold for all workers whose spec says nothing else. */
export interface HubOptions<C extends Contract = UntypedContract> extends SupervisionOptions {
  /** The workers to fork and to look after. None makes the primary a complete hub alone. @default [] */
  workers?: readonly WorkerSpec[]
  /** Validators of what the primary sends, and of what arrives there unvalidated, for those who want them. */
  schemas?: Schemas<C>
  /** How long a call waits for its answer unless it says otherwise, in milliseconds. @default 30000 */
  timeout?: number
  /** Bytes queued towards a member above which `emit` returns false. @default 1048576, 1 MiB */
  highWaterMark?: number
  /**
   * Bytes queued towards a member above which it is slow at once, and takes no more tasks. @default 67108864, 64 MiB
   */
  maxQueueBytes?: number
  /**
   * Bytes held for a seat that starts or restarts; beyond, its events are dropped, oldest first, and further tasks
   * refused. @default 16777216, 16 MiB
   */
  maxHeldBytes?: number
  /** Tasks that may wait in the hub for a handler with room; beyond, they are refused. @default 10000 */
  maxQueuedTasks?: number
  /**
   * Calls of one member that may wait for their answers; beyond, they are refused. And tasks that one handler may work on
   * at once, whatever its concurrency. @default 100000
   */
  maxPendingCalls?: number
  /** What the hub keeps for clients of Socket.IO that are away, where `connectionStateRecovery` is on. */
  recovery?: RecoveryOptions
  /** How long a link may stay over its mark before it is slow, in milliseconds. @default 1000 */
  slowAfter?: number
  /** Stop everything in order at SIGINT and SIGTERM, and exit; at a second one, at once. @default true */
  signals?: boolean
  /** `manual`: the primary takes no messages before it calls `hub.ready()`. @default 'auto' */
  ready?: 'auto' | 'manual'
}

/** Bounds of connection state recovery. What is beyond is forgotten, oldest first; such clients connect anew. */
export interface RecoveryOptions {
  /** Bytes of packets, sessions and rooms together. @default 67108864, 64 MiB */
  maxBytes?: number
  /** Packets kept. @default 100000 */
  maxPackets?: number
  /** Clients that are away. @default 10000 */
  maxSessions?: number
}

const OWN_OPTIONS: readonly (keyof HubOptions)[] = [
  'workers',
  'schemas',
  'timeout',
  'highWaterMark',
  'maxQueueBytes',
  'maxHeldBytes',
  'maxQueuedTasks',
  'maxPendingCalls',
  'recovery',
  'slowAfter',
  'signals',
  'ready',
]

/** `HubOptions` with nothing left open; the workers are looked at when they are started. */
export interface PrimaryOptions extends ExchangeOptions {
  supervision: SupervisionOptions
  validator: Validator
  signals: boolean
}

/** @throws {HubError} `ERR_INVALID_ARG_VALUE` */
export function readOptions(options: HubOptions<Contract>): PrimaryOptions {
  checkOptions(options, [...OWN_OPTIONS, ...SUPERVISION_OPTIONS], 'startHub()')
  const { ready = 'auto', signals = true, timeout = 30_000 } = options
  if (options.workers !== undefined && !Array.isArray(options.workers)) {
    throw invalid('startHub(): workers must be a list, such as [{ role: "web", count: 2 }, { id: "mailer" }].')
  }
  if (ready !== 'auto' && ready !== 'manual') throw invalid('startHub(): ready must be "auto" or "manual".')
  if (typeof signals !== 'boolean') throw invalid('startHub(): signals must be true or false.')
  if (typeof timeout !== 'number' || !(timeout > 0))
    throw invalid('startHub(): timeout must be a positive number of milliseconds.')
  const supervision = Object.fromEntries(
    Object.entries(options).filter(([key]) => (SUPERVISION_OPTIONS as readonly string[]).includes(key)),
  ) as SupervisionOptions
  const atLeastOne = (
    name: 'highWaterMark' | 'maxQueueBytes' | 'maxHeldBytes' | 'maxQueuedTasks' | 'maxPendingCalls',
    otherwise: number,
  ) => (options[name] === undefined ? otherwise : checkNumber(options[name], 1, `startHub(): ${name}`))
  return {
    supervision,
    validator: new Validator(options.schemas),
    signals,
    timeout,
    highWaterMark: atLeastOne('highWaterMark', 1 << 20),
    maxQueueBytes: atLeastOne('maxQueueBytes', 64 << 20),
    maxHeldBytes: atLeastOne('maxHeldBytes', 16 << 20),
    maxQueuedTasks: atLeastOne('maxQueuedTasks', 10_000),
    maxPendingCalls: atLeastOne('maxPendingCalls', 100_000),
    slowAfter: options.slowAfter === undefined ? 1000 : checkDuration(options.slowAfter, 'startHub(): slowAfter'),
    gracePeriod: supervision.gracePeriod ?? 10_000,
    recovery: readRecovery(options.recovery),
  }
}

function readRecovery(options: RecoveryOptions = {}): RecoveryLimits {
  checkOptions(options, ['maxBytes', 'maxPackets', 'maxSessions'], 'startHub(): recovery')
  const limit = (name: keyof RecoveryOptions, otherwise: number) =>
    options[name] === undefined ? otherwise : checkNumber(options[name], 0, `startHub(): recovery.${name}`)
  return {
    maxBytes: limit('maxBytes', 64 << 20),
    maxPackets: limit('maxPackets', 100_000),
    maxSessions: limit('maxSessions', 10_000),
  }
}
