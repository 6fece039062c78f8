/** A server whose `/ping` costs nothing, and whose `/report` costs CPU, wherever that is spent. */
import http, { type Server } from 'node:http'

/** Milliseconds of CPU that a report costs. */
export const REPORT = 50
export const WEB_WORKERS = 2
export const REPORT_WORKERS = 2

/** What a report is made of here: it keeps the event loop for so long. */
export function makeReport(): string {
  const start = process.cpuUsage()
  let sum = 0
  for (let spent = 0; spent < REPORT * 1000; ) {
    for (let n = 0; n < 10_000; n++) sum += Math.sqrt(n)
    const { user, system } = process.cpuUsage(start)
    spent = user + system
  }
  return `the sum is ${sum}`
}

export function createApp(report: () => string | Promise<string>): Server {
  return http.createServer(async (request, response) => {
    response.end(request.url === '/report' ? await report() : 'pong')
  })
}
