import type { Contract, EventArgs, EventName, TaskInput, TaskName, TaskOutput, UntypedContract } from './contract.js'
import { LOCAL_EVENTS } from './emitter.js'
import { HubError, invalid } from './errors.js'
import { isThenable } from './thenable.js'

/**
 * A validator of any library that implements Standard Schema, version 1 (zod, valibot, arktype and others):
 * https://standardschema.dev. Restated here as far as Hubwire uses it, so that it depends on no package.
 */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    /** Of the interface. */
    readonly version: 1
    /** Whose validator it is. */
    readonly vendor: string
    /** Checks a value, and may transform it. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    /** For the compiler alone. */
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

/** What a validator answers: a value, or what it does not like. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

/** One thing that a validator does not like, and where in the value it stands. */
export interface StandardIssue {
  /** What is wrong. */
  readonly message: string
  /** Where it stands, from the value's root on. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/**
 * Validators for the payloads of a contract, each for those events and tasks that should have one. They run once for
 * each payload: at the sender, where what they return is what travels, or, when the sender has none, at the receiver.
 * So a schema may transform, and need not accept what it returns.
 *
 * ```ts
 * schemas: {
 *   events: { news: z.tuple([z.object({ id: z.number(), title: z.string() })]) },
 *   tasks: { 'email.send': { input: mail, output: z.object({ messageId: z.string() }) } },
 * }
 * ```
 */
export interface Schemas<C extends Contract = UntypedContract> {
  /** Event name to a schema of the list of its arguments, a tuple. It must be synchronous, because `emit` is. */
  events?: { [E in EventName<C>]?: StandardSchema<Readonly<EventArgs<C, E>>> }
  /** Task name to the schemas of its input and its output. They may be asynchronous. */
  tasks?: { [T in TaskName<C>]?: TaskSchemas<C, T> }
}

/** The validators of one task. */
export interface TaskSchemas<C extends Contract, T extends TaskName<C>> {
  /** Runs at the caller, or else where the handler is. */
  input?: StandardSchema<TaskInput<C, T>>
  /** Runs where the handler is, or else at the caller. */
  output?: StandardSchema<TaskOutput<C, T>>
}

/** More issues than these make a message longer, not clearer. */
const MAX_ISSUES = 5
/** Some libraries quote the offending value in a message, however large it is. */
const MAX_ISSUE_LENGTH = 200

const TUPLE_HINT = 'The schema of an event describes the list of its arguments: a tuple, with one argument, too.'

/** Runs the user's schemas. What has none passes as it is. */
export class Validator {
  // Maps, because names are the user's: `__proto__` and `constructor` are ordinary ones.
  readonly #events = new Map<string, StandardSchema>()
  readonly #inputs = new Map<string, StandardSchema>()
  readonly #outputs = new Map<string, StandardSchema>()

  /** @throws {HubError} `ERR_INVALID_ARG_VALUE`, naming the entry that is unknown or no schema */
  constructor(schemas: { readonly events?: object; readonly tasks?: object } | undefined) {
    if (schemas === undefined) return
    for (const [key, group] of entries('schemas', schemas, ['events', 'tasks'])) {
      const path = `schemas.${key}`
      if (key === 'events') this.#addEvents(path, group)
      else this.#addTasks(path, group)
    }
  }

  hasEvent(name: string): boolean {
    return this.#events.has(name)
  }

  hasInput(task: string): boolean {
    return this.#inputs.has(task)
  }

  hasOutput(task: string): boolean {
    return this.#outputs.has(task)
  }

  /**
   * The arguments of an event as its schema returns them.
   * @throws {HubError} `ERR_HUB_PAYLOAD` when the schema refuses them, fails, or is asynchronous
   */
  eventArguments(name: string, args: unknown[]): unknown[] {
    const schema = this.#events.get(name)
    if (schema === undefined) return args
    const place: Place = { of: `event ${JSON.stringify(name)}`, what: 'arguments', root: 'args' }
    const result = run(schema, args, place)
    if (isThenable(result)) {
      // Nobody awaits it: what it may reject with must not end the process.
      result.then(undefined, () => {})
      throw new HubError(
        'ERR_HUB_PAYLOAD',
        `The schema of ${place.of} is asynchronous, and events are validated at once: ` +
          'use a synchronous schema, or a task, whose schemas are awaited.',
      )
    }
    const value = unwrap(result, place)
    if (Array.isArray(value)) return value
    throw new HubError(
      'ERR_HUB_PAYLOAD',
      `The schema of ${place.of} returned no list of arguments, but ${describe(value)}. ${TUPLE_HINT}`,
    )
  }

  /**
   * The input of a task as its schema returns it: a promise of it when the schema is asynchronous.
   * @throws {HubError} `ERR_HUB_PAYLOAD`, as a rejection when the schema is asynchronous
   */
  taskInput(name: string, value: unknown): unknown | Promise<unknown> {
    return validate(this.#inputs.get(name), value, name, 'input')
  }

  /** The output of a task, as `taskInput`. */
  taskOutput(name: string, value: unknown): unknown | Promise<unknown> {
    return validate(this.#outputs.get(name), value, name, 'output')
  }

  #addEvents(path: string, events: unknown): void {
    for (const [name, schema] of entries(path, events)) {
      const where = `${path}${step(name)}`
      if (LOCAL_EVENTS.has(name)) {
        throw invalid(`${where}: ${JSON.stringify(name)} is a local event that never travels. Remove its schema.`)
      }
      this.#events.set(name, standardSchema(where, schema, 'a tuple schema of its arguments'))
    }
  }

  #addTasks(path: string, tasks: unknown): void {
    for (const [name, task] of entries(path, tasks)) {
      const where = `${path}${step(name)}`
      if (isStandardSchema(task)) {
        throw invalid(
          `${where} is a schema, but of the input or of the output? Write { input: schema } or { output: schema }.`,
        )
      }
      for (const [key, schema] of entries(where, task, ['input', 'output'])) {
        const map = key === 'input' ? this.#inputs : this.#outputs
        map.set(name, standardSchema(`${where}.${key}`, schema, `a schema of its ${key}`))
      }
    }
  }
}

/** What is validated, in the words of the error messages. */
interface Place {
  readonly of: string
  readonly what: 'arguments' | 'input' | 'output'
  /** What the paths of issues start with. */
  readonly root: string
}

function validate(
  schema: StandardSchema | undefined,
  value: unknown,
  task: string,
  what: 'input' | 'output',
): unknown | Promise<unknown> {
  if (schema === undefined) return value
  const place: Place = { of: `task ${JSON.stringify(task)}`, what, root: what }
  const result = run(schema, value, place)
  if (!isThenable(result)) return unwrap(result, place)
  return result.then(
    (settled) => unwrap(settled, place),
    (error) => {
      throw failed(place, error)
    },
  )
}

function run(schema: StandardSchema, value: unknown, place: Place): unknown {
  try {
    return schema['~standard'].validate(value)
  } catch (error) {
    throw failed(place, error)
  }
}

/** Takes the value out of a result. The result is a stranger's: its shape is checked, not believed. */
function unwrap(result: unknown, place: Place): unknown {
  if (typeof result !== 'object' || result === null || !('issues' in result || 'value' in result)) {
    throw new HubError(
      'ERR_HUB_PAYLOAD',
      `The schema of ${place.of} (its ${place.what}) answered ${describe(result)}, which is no Standard Schema result: ` +
        'see whether its library implements version 1 of Standard Schema.',
    )
  }
  const { issues } = result as { issues?: unknown }
  if (!issues) return (result as { value?: unknown }).value
  throw refused(place, Array.isArray(issues) ? issues : [issues])
}

function refused(place: Place, issues: readonly unknown[]): HubError {
  const lines = issues.slice(0, MAX_ISSUES).map((issue) => formatIssue(place.root, issue))
  if (issues.length > MAX_ISSUES) lines.push(`and ${issues.length - MAX_ISSUES} more`)
  const list = lines.length > 0 ? lines.join('; ') : 'it names no reason'
  // An issue with the list itself, not with one of its arguments: most likely the schema is of the first argument.
  const mistaken = place.what === 'arguments' && issues.some((issue) => pathOf(issue).length === 0)
  const advice = mistaken ? TUPLE_HINT : ADVICE[place.what]
  return new HubError('ERR_HUB_PAYLOAD', `The schema of ${place.of} refused its ${place.what}: ${list}. ${advice}`)
}

const ADVICE = {
  arguments: 'Emit what the schema describes, or change the schema in every process.',
  input: 'Send what the schema describes, or change the schema in every process.',
  output: 'Let the handler return what the schema describes, or change the schema in every process.',
}

/** The validator itself threw, or rejected: a bug in the schema, or a check that failed to run. */
function failed(place: Place, cause: unknown): HubError {
  const reason = cut(cause instanceof Error ? cause.message : describe(cause))
  return new HubError(
    'ERR_HUB_PAYLOAD',
    `The schema of ${place.of} failed while it validated its ${place.what}: ${reason}. See this error's cause.`,
    { cause },
  )
}

function formatIssue(root: string, issue: unknown): string {
  const { message } = Object(issue) as { message?: unknown }
  return `${root}${pathOf(issue).map(step).join('')}: ${typeof message === 'string' ? cut(message) : 'not valid'}`
}

function pathOf(issue: unknown): PropertyKey[] {
  const { path } = Object(issue) as { path?: unknown }
  if (!Array.isArray(path)) return []
  return path.map((part) => (typeof part === 'object' && part !== null ? part.key : part))
}

/** One step of a path, as a program would write it. */
function step(key: PropertyKey): string {
  if (typeof key === 'string') return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
  return `[${String(key)}]`
}

function cut(text: string): string {
  return text.length > MAX_ISSUE_LENGTH ? `${text.slice(0, MAX_ISSUE_LENGTH)}…` : text
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return JSON.stringify(cut(value))
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object'
  return typeof value === 'function' ? 'a function' : cut(String(value))
}

/** The entries of an options object that are set. Refuses other keys than `known`, if given, by name. */
function entries(path: string, value: unknown, known?: readonly string[]): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${path} must be an object${known ? ` with ${known.join(' and ')}` : ''}, not ${describe(value)}.`)
  }
  const set = Object.entries(value).filter(([, entry]) => entry !== undefined)
  if (known) {
    for (const [key] of set) {
      if (!known.includes(key)) {
        throw invalid(`${path}${step(key)}: unknown option ${JSON.stringify(key)}. Known are ${known.join(' and ')}.`)
      }
    }
  }
  return set
}

function standardSchema(path: string, value: unknown, wanted: string): StandardSchema {
  if (isStandardSchema(value)) return value
  throw invalid(
    `${path} is not a Standard Schema, but ${describe(value)}: ` +
      `give it ${wanted}, made with zod, valibot, arktype or any library that implements version 1 of Standard Schema.`,
  )
}

/** An arktype schema is a function, the others are objects. */
function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard = (value as { '~standard'?: unknown })['~standard'] as { version?: unknown; validate?: unknown }
  return typeof standard === 'object' && standard?.version === 1 && typeof standard.validate === 'function'
}
