/** What we use of it; it brings no types. */
declare module 'autocannon' {
  interface Options {
    url: string
    connections: number
    duration: number
    method?: string
    headers?: Record<string, string>
    body?: string
  }
  interface Result {
    /** Seconds. */
    duration: number
    errors: number
    timeouts: number
    non2xx: number
    '2xx': number
  }
  /** Runs, and tells of each response, with its status and latency in milliseconds. */
  interface Running extends Promise<Result> {
    on(event: 'response', listener: (client: unknown, status: number, bytes: number, latency: number) => void): this
  }
  export default function autocannon(options: Options): Running
}
