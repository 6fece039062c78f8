import type { MemberState } from './members.js'

/** Counters since the start of this member, and gauges of what waits now. */
export interface HubStats {
  /** Bytes (UTF-16 units of text, and attachments) that wait here to be sent. */
  readonly queuedBytes: number
  /** Requests and delegations of this member that wait for an answer. */
  readonly pendingCalls: number
  /** Tasks that run in this member now. */
  readonly runningTasks: number
  /** Calls of `emit` and `broadcast` that were accepted, however many members they were for. */
  readonly eventsSent: number
  /** Events that arrived here, refused ones included. */
  readonly eventsReceived: number
  /** Tasks that were given to a handler of this member. */
  readonly tasksServed: number
  /** Events, inputs and answers that a schema of this member refused on arrival, or that could not be read. */
  readonly refusedPayloads: number
  /**
   * Messages that this member did not send, because too much waits already: events and calls refused with
   * `ERR_HUB_OVERLOADED`, answers replaced by it, packets of Socket.IO dropped.
   */
  readonly refused: number
  /** What the hub knows of each member's link. Only in the primary. */
  readonly links?: readonly LinkStats[]
  /** Tasks in the hub. Only in the primary. */
  readonly tasks?: TaskStats
  /** What the hub knows of HTTP connections. Only in the primary. */
  readonly http?: HttpStats
  /** What the hub keeps for clients of Socket.IO that are away. Only in the primary, and where recovery was ever on. */
  readonly recovery?: RecoveryStats
  /** Sessions and WebSockets that changed process with their clients connected. Only in the primary, and where any had to. */
  readonly handover?: HandoverStats
}

/** Sessions of Socket.IO and plain WebSockets, at reloads and when roles shrink. */
export interface HandoverStats {
  /** That another process was given. */
  readonly moved: number
  /** That could not be handed over: their clients had to connect anew. Their process has said why. */
  readonly left: number
}

/** Tasks in the hub, over all members. */
export interface TaskStats {
  /** That wait for a handler with room. */
  readonly queued: number
  /** Of these, bytes. */
  readonly queuedBytes: number
  /** Bytes of inputs that are kept for `.retry(n)`. */
  readonly retryBytes: number
  /** Refused with `ERR_HUB_OVERLOADED`, because one of these was at its bound. */
  readonly refused: number
}

/** What connection state recovery keeps in the hub, and what became of clients that came back. */
export interface RecoveryStats {
  /** Packets kept. */
  readonly packets: number
  /** Of packets, sessions and rooms together. */
  readonly bytes: number
  /** Clients whose session is mirrored, those that are away included. */
  readonly sessions: number
  /** Clients that are away, and may come back. */
  readonly away: number
  /** Clients that came back and were given their session. One whose new connection fails at once may come back again. */
  readonly recovered: number
  /** Packets that these had missed. */
  readonly replayed: number
  /** Clients that came back and had to connect anew: their session, or what they missed, was not known any more. */
  readonly refused: number
  /** Packets forgotten before their time, for `maxBytes` or `maxPackets`. */
  readonly droppedPackets: number
  /** Sessions forgotten before their time, for `maxBytes` or `maxSessions`. */
  readonly droppedSessions: number
  /** Sessions of clients that stayed away for longer than `maxDisconnectionDuration`. */
  readonly expiredSessions: number
}

/** What the hub knows of one member's link. */
export interface LinkStats {
  /** The member's id. */
  readonly id: string
  /** The number of the process that these are about. */
  readonly incarnation: number
  readonly state: MemberState
  /** Bytes that wait in the hub to be sent there, what is held included. */
  readonly queuedBytes: number
  /** Messages held until the member is ready. */
  readonly held: number
  /** Tasks that wait in the hub for this member's handlers. */
  readonly queuedTasks: number
  /** Tasks that the hub has given to it, and that are not answered yet. */
  readonly runningTasks: number
  /** Events dropped because the link was slow, the hold was full, or nobody listens any more. */
  readonly droppedEvents: number
  /** Tasks for it, and answers to it, that were refused with `ERR_HUB_OVERLOADED` because its queue was full. */
  readonly refused: number
  /**
   * Frames and batches that this member had no right or no sense to send, such as garbage, or answers to others' calls.
   * The first is printed as a warning in the primary and in the member itself.
   */
  readonly protocolErrors: number
  /** Over its mark for `slowAfter`, or over `maxQueueBytes`: its events are dropped until it has drained. */
  readonly slow: boolean
}

/** Connections that came in at `hub.listen()`. */
export interface HttpStats {
  /** Those who serve them. */
  readonly workers: readonly HttpWorkerStats[]
  /** Connections that have not said enough yet to know where they belong. */
  readonly reading: number
  /** Connections that wait because nobody is there to take them. */
  readonly waiting: number
  /** What has been read of connections that nobody has taken yet, in bytes. At most 64 MiB: beyond, they are rejected. */
  readonly waitingBytes: number
  /** Connections that members have taken, each time that one has. */
  readonly routed: number
  /** Connections that went to another member than was meant first: it died, did not take them, or passed them on. */
  readonly rerouted: number
  /** Connections that were answered 503, or closed because 10,000 others had not said enough yet either. */
  readonly rejected: number
}

/** One member that serves HTTP. */
export interface HttpWorkerStats {
  /** The member's id. */
  readonly id: string
  /** The number of the process that these are about. */
  readonly incarnation: number
  /** Open there, or on their way. */
  readonly connections: number
  /** Of these, those that wait in the hub. */
  readonly queued: number
  /** It has not taken the last one for a second: it gets no more until it does. */
  readonly wedged: boolean
}
