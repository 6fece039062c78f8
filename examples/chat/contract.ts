/** What the processes of this example, and its page, say to each other. Types only: nothing runs. */

/** A message as everybody sees it. */
export interface Message {
  /** Rises from message to message. The keeper gives it. */
  id: number
  /** When the keeper took it: milliseconds since the epoch. */
  time: number
  from: string
  /** Whom it is for; everybody, where it is left out. */
  to?: string | undefined
  text: string
  /** The web worker that took it. */
  via: string
  /** The sender's own name for it. */
  key: string
  /** Not from a page: it came by `POST /publish`. */
  published?: true | undefined
}

/** A message before the keeper has given it an id. */
export type Draft = Omit<Message, 'id' | 'time'>

/** What a page has not seen yet. */
export interface Missed {
  messages: Message[]
  /** There is nothing else for this user up to this id. */
  upTo: number
  /** Older ones than these may be missing: the keeper has forgotten them. */
  gap: boolean
}

/** What the keeper knows, for the process that takes over from it. */
export interface Legacy {
  last: number
  forgotten: { all: number; direct: number }
  kept: { all: Message[]; direct: Message[] }
  ids: Map<string, number>
  online: string[]
}

/** What goes between the processes. */
export interface Chat {
  events: {
    /** To the keeper: one of the user's tabs is gone. */
    departed: (name: string) => void
    /** From the keeper that ends to the one that has its place. */
    legacy: (legacy: Legacy) => void
    /** To the primary: somebody has pressed the button. */
    deploy: (by: string) => void
  }
  tasks: {
    /** Gives the message its id, keeps it, and sends it to all whom it is for. The same key twice is one message. */
    say: (draft: Draft) => { id: number }
    /** A tab is there: its user is online from now on. The answer is what it has not seen. */
    arrive: (tab: { name: string; socketId: string; after: number }) => Missed
  }
}

export interface WebWorker {
  id: string
  pid: number | undefined
  state: string
}

/** The process that serves a tab. */
export interface Served {
  worker: string
  pid: number
  /** What it read from the disk when it started. */
  release: number
  workers: WebWorker[]
}

/** What a web worker tells a tab that has connected to it. */
export interface Welcome extends Missed, Served {
  name: string
  /** Whether this page may deploy, and end the worker. */
  mayOperate: boolean
}

/** How far a deploy is. */
export interface Deploy {
  release: number
  by: string
  state: 'running' | 'done' | 'failed'
  /** How many of the workers have been exchanged. */
  done: number
  total: number
  /** The one that is being exchanged: its new process starts, or its old one drains. */
  worker?: string | undefined
  phase?: 'starting' | 'draining' | undefined
  /** Why it failed. */
  reason?: string | undefined
}

/** What goes from the servers to the page. */
export interface ToPage {
  welcome: (welcome: Welcome) => void
  /** To a tab that was handed over: everything is as it was, but for the process. */
  served: (served: Served) => void
  deploy: (deploy: Deploy) => void
  message: (message: Message) => void
  /** Everybody who is online, in order. */
  online: (names: string[]) => void
  typing: (from: string) => void
  workers: (workers: WebWorker[]) => void
}

/** What goes from the page to its worker. It comes from outside: see input.ts. */
export interface FromPage {
  say: (draft: unknown, answer: unknown) => void
  typing: (to: unknown) => void
  crash: () => void
  deploy: () => void
}

/** What a worker knows of a connected tab. Other members see it as well, by `fetchSockets()`. */
export interface Tab {
  name: string
}

/** The Socket.IO room of all tabs of a user, on all workers. */
export type UserRoom = `user:${string}`
