/**
 * What went wrong, for programs. The first nine are outcomes; `ERR_INVALID_ARG_VALUE` is Node's own code for misuse.
 */
export type HubErrorCode =
  /** No answer came within the call's timeout, or a worker was not ready within its `readyTimeout`. */
  | 'ERR_HUB_TIMEOUT'
  /** The target names nobody on this hub. */
  | 'ERR_HUB_NO_MEMBER'
  /** The member is there, but serves no such task; or nobody does. */
  | 'ERR_HUB_NO_HANDLER'
  /**
   * The member's process ended while it worked on the task, which may have run; or it was stopped or given up, and the
   * task will not run; or a worker ended before it was ready.
   */
  | 'ERR_HUB_MEMBER_EXITED'
  /** A bounded queue is full: nothing was accepted. */
  | 'ERR_HUB_OVERLOADED'
  /** The caller's `AbortSignal` fired. The signal's reason is the `cause`. */
  | 'ERR_HUB_ABORTED'
  /** The payload cannot be cloned, or a schema refused it. */
  | 'ERR_HUB_PAYLOAD'
  /** This member's hub is closed, or was closed while the call was pending. */
  | 'ERR_HUB_CLOSED'
  /** Two processes do not speak the same protocol: no hub, another version, another serialization, garbage. */
  | 'ERR_HUB_PROTOCOL'
  /** An argument or option is wrong. Nothing was done. */
  | 'ERR_INVALID_ARG_VALUE'

/**
 * Every error that Hubwire itself raises. Its message says what was tried, on whom, and what to do. What a task's
 * handler throws arrives as an error of its own, not as a `HubError`, even if it was one there.
 */
export class HubError extends Error {
  /** What went wrong, for programs: it stays the same where messages change. */
  readonly code: HubErrorCode

  constructor(code: HubErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

// On the prototype, as for the built-in errors, so that it is not an own field of every instance.
Object.defineProperty(HubError.prototype, 'name', { value: 'HubError', configurable: true, writable: true })

/** Misuse: an argument or option that can never be right. */
export function invalid(message: string): HubError {
  return new HubError('ERR_INVALID_ARG_VALUE', message)
}
