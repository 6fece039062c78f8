/** What we use of it; it brings no types. */
declare module 'autocannon' {
  interface Options {
    url: string
    connections: number
    duration: number
    /** Requests a second, of all connections together; each sends its share at once. */
    overallRate?: number
    /** Requests on their way on one connection. @default 1 */
    pipelining?: number
    method?: string
    headers?: Record<string, string>
    body?: string
    /** What it resolves with is for `aggregateResult` alone. */
    skipAggregateResult?: boolean
    /** Called with each of the connections, before it connects. */
    setupClient?: (client: Client) => void
  }
  /** One of the connections; opened anew whenever it was closed. */
  interface Client {
    /** A request is written, or will be as soon as the connection is open. */
    on(event: 'request', listener: () => void): this
    /** A response has come whole. */
    on(event: 'response', listener: (status: number) => void): this
  }
  interface Result {
    /** Seconds. */
    duration: number
    errors: number
    /** Milliseconds, whole ones. */
    latency: { p50: number; p99: number }
    timeouts: number
    /** Connections that were closed before they should. */
    resets: number
    non2xx: number
    '2xx': number
  }
  interface Running extends Promise<Result> {
    stop(): void
  }
  function autocannon(options: Options): Running
  namespace autocannon {
    /** The result of several together. */
    function aggregateResult(results: readonly Result[], options: Options): Result
  }
  export default autocannon
}
