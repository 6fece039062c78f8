import type { Usage } from '../soak/usage.js'

/** What the members of a campaign say to each other. */
export interface Faults {
  events: {
    /** One numbered message of a sender, with something heavy at times. */
    item: (from: string, n: number, filler?: string | Uint8Array) => void
    /** Has a worker do itself harm. */
    misbehave: (harm: Harm) => void
  }
  tasks: {
    /** Answered at once. */
    echo: (ask: Ask) => Answer
    /** Takes its time; four at a time. */
    work: (ask: Ask) => Promise<Answer>
    /** Begins the history of a round … */
    begin: (round: number) => void
    /** … and, when everybody has, the load. */
    go: () => void
    /** Ends the load. Answered when nothing of it is under way. */
    rest: () => Promise<void>
    /** Sends a last message to everybody, and a last packet to all clients; returns their numbers. */
    mark: () => Mark
    usage: () => Promise<Usage>
    /** How this member sees the hub. */
    view: () => View
  }
}

export interface Ask {
  /** Of the call: who asks, and its number. */
  key: string
  from: string
  n: number
  /** How long it takes, in milliseconds. */
  ms: number
  fails: boolean
  /** For a call that depends on nothing but the order of what was sent. */
  ordered: boolean
}

export interface Answer {
  key: string
  /** Who has answered. */
  by: string
}

export type Harm =
  | { what: 'wedge'; ms: number }
  | { what: 'leak' }
  | { what: 'exit' }
  | { what: 'flood'; count: number; heeds: boolean }
  | { what: 'huge'; bytes: number }
  | { what: 'malformed' }

/** The numbers of the last that a process sends. */
export interface Mark {
  name: string
  item: number
  packet: number
}

export interface View {
  name: string
  /** Id, process and state of everybody. */
  members: string[]
  /** The greatest number heard of each sender. */
  heard: Record<string, number>
  pendingCalls: number
  runningTasks: number
  queuedBytes: number
}

/** Everybody, in the order of the bits that stand for them in histories. */
export const SEATS = ['primary', 'web-1', 'web-2', 'web-3', 'web-4', 'crunch-1', 'crunch-2'] as const
export const ROLES: Readonly<Record<string, readonly string[]>> = {
  web: ['web-1', 'web-2', 'web-3', 'web-4'],
  crunch: ['crunch-1', 'crunch-2'],
}
/** Clients are in the room of their number modulo this. */
export const ROOMS = 20

/** The name of a process: ids come back, processes do not. */
export const processName = (id: string, pid: number | undefined) => `${id}:${pid}`
