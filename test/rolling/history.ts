import type { Usage } from '../soak/usage.js'
import type { Run } from './runs.js'

/** Clients are spread over so many rooms. */
export const ROOMS = 10
/** An acknowledgement that comes late does so after so many milliseconds. */
export const LATE = 30

/** How a client is connected; `upgrading` ones come by polling, upgrade, leave, and come again, all the time. */
export const KINDS = ['websocket', 'polling', 'upgrading'] as const
export type Kind = (typeof KINDS)[number]

/** One Socket.IO session as its client saw it. Handed over or recovered, it goes on. */
export interface Session {
  client: number
  kind: Kind
  id: string
  /** The process that its client has last heard of as its own. */
  home: number
  /** When its room was joined for certain, in milliseconds since the epoch. */
  settledAt: number | undefined
  /** Its client has ended it, when all was answered. */
  closed: boolean
  /** Each time when its connection broke: which process it was at then, and whether it went on afterwards. */
  cuts: { home: number; reason: string; hasOffset: boolean; recovered: boolean }[]
  /** How many counters it has sent, those that are acknowledged at once, and late. */
  sent: { prompt: number; late: number }
  /**
   * What came, by stream: `ack` and `late`, the acknowledgements; `echo`; and of each process `tick`, what it sends to the
   * room, `down`, what it sends to this socket, `question`, what it asks of it.
   */
  streams: Record<string, Run[]>
  wrongs: string[]
}

/** What one process did until it ended in good order, or was asked. */
export interface Work {
  pid: number
  startedAt: number
  /** How many packets it sent to each room. */
  ticks: number[]
  /** By the ids of sockets: how many packets it sent to each, how many it asked of it, and was answered. */
  sockets: Record<string, { downs: number; questions: number; answers: number }>
  wrongs: string[]
}

/** How fast everybody goes, in milliseconds. */
export interface Pace {
  /** Between two counters of a client. */
  up: number
  /** Between two packets of a process to each of its rooms, and to each of its sockets. */
  down: number
}

/** The contract of the hub under this load. */
export interface Rolling {
  events: {
    /** A process ends in good order. */
    done: (work: Work) => void
  }
  tasks: {
    /** Stops, and tells what it did. */
    finish: () => Work
    usage: () => Usage & { connections: number }
  }
}
