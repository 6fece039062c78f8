/** The contracts that the type tests use. */

export interface Article {
  id: number
  title: string
}

export interface Mail {
  to: string
  text: string
}

/** Interfaces all the way down. */
export interface App {
  events: AppEvents
  tasks: AppTasks
}

export interface AppEvents {
  news: (article: Article) => void
  'cache.invalidate': (key: string, ttl?: number) => void
  tick: () => void
  lines: (...lines: string[]) => void
}

export interface AppTasks {
  'email.send': (mail: Mail) => { messageId: string }
  'image.resize': (job: { image: Uint8Array; width: number }) => Promise<Uint8Array>
  ping: () => 'pong'
  flush: () => void
  find: (id?: number) => Article | undefined
}

/** The same as types, the way typed-emitter wants its event maps. */
export type TypedApp = {
  events: {
    news: (article: Article) => void
    'cache.invalidate': (key: string, ttl?: number) => void
    tick: () => void
    lines: (...lines: string[]) => void
  }
  tasks: {
    'email.send': (mail: Mail) => { messageId: string }
    ping: () => 'pong'
  }
}
