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
  /** Runs, and tells of each response, with its status and latency in milliseconds. */
  interface Running extends Promise<Result> {
    on(event: 'response', listener: (client: unknown, status: number, bytes: number, latency: number) => void): this
    stop(): void
  }
  export default function autocannon(options: Options): Running
}
