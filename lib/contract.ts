/**
 * The contract of an application: which events and tasks exist, and what they carry. It is a type only; nothing of it
 * exists at run time.
 *
 * ```ts
 * interface App {
 *   events: { news: (article: { id: number }) => void }
 *   tasks: { 'email.send': (mail: Mail) => { messageId: string } }
 * }
 * ```
 */
export interface Contract {
  /**
   * Event name to listener signature: the convention of typed-emitter and of Socket.IO. Interfaces and types both fit.
   */
  events?: object
  /** Task name to a function of exactly one input (or none) and one output. */
  tasks?: object
}

/** The contract of a hub that was given none: any name, any payload. */
export interface UntypedContract {
  // biome-ignore lint/suspicious/noExplicitAny: without a contract nothing is known of the payloads
  events: Record<string, (...args: any[]) => void>
  // biome-ignore lint/suspicious/noExplicitAny: the same
  tasks: Record<string, (input?: any) => any>
}

/** Local events, which every hub raises, as any Node.js `EventEmitter` does. They never travel. */
export interface LocalEvents {
  error: (error: Error) => void
  newListener: (event: string, listener: (...args: never[]) => void) => void
  removeListener: (event: string, listener: (...args: never[]) => void) => void
}

/** The events of a contract; none where it has none. */
export type EventsOf<C extends Contract> = C extends { events: infer E extends object } ? E : Record<never, never>
/** The tasks of a contract; none where it has none. */
export type TasksOf<C extends Contract> = C extends { tasks: infer T extends object } ? T : Record<never, never>

/** The names of a contract's events that travel. */
export type EventName<C extends Contract> = Exclude<keyof EventsOf<C>, keyof LocalEvents> & string
/** The names of a contract's tasks. */
export type TaskName<C extends Contract> = keyof TasksOf<C> & string

type Signature<F> = F extends (...args: infer A) => infer R ? { args: A; result: R } : never

/** The arguments of an event. */
export type EventArgs<C extends Contract, E extends EventName<C>> = Signature<EventsOf<C>[E]>['args']

/** The arguments of a request for a task: its one input, or nothing. A task of more than one input does not compile. */
export type TaskArgs<C extends Contract, T extends TaskName<C>> = Signature<
  TasksOf<C>[T]
>['args'] extends infer A extends readonly unknown[]
  ? A extends readonly [unknown?]
    ? A
    : [input: OneInputOnly, problem: OneInputOnly]
  : never

/** Stands where the input of a task with several would. Nothing fits it, so that the compiler shows its sentence. */
export interface OneInputOnly {
  readonly 'A task takes exactly one input: put the arguments into one object': never
}

/** What the handler of a task receives. */
export type TaskInput<C extends Contract, T extends TaskName<C>> = TaskArgs<C, T>[0]

/** What a task answers. A contract may write `Promise<R>` or `R`. */
export type TaskOutput<C extends Contract, T extends TaskName<C>> = Awaited<Signature<TasksOf<C>[T]>['result']>
