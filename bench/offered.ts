/** HTTP requests at a fixed rate, whatever becomes of those before: nobody waits for a slow answer before it asks again. */
import http, { type Agent } from 'node:http'
import { pumpAt } from './workloads.js'

/** A kept-alive connection that the server closes meanwhile has the request sent again, as clients do; so often at most. */
const AGAIN = 3

/** Resolves with the milliseconds from `due` to the end of the answer. */
function get(url: string, agent: Agent, due: number, again = AGAIN): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url} was answered with ${response.statusCode}`))
      response.resume()
      response.once('end', () => resolve(performance.now() - due))
    })
    request.once('error', (error) => (again > 0 ? resolve(get(url, agent, due, again - 1)) : reject(error)))
  })
}

/** Asks so often a second for so many seconds, waits for the last answer, and tells how long each took, in milliseconds. */
export async function askAt(url: string, agent: Agent, rate: number, seconds: number): Promise<Float64Array> {
  const answers: Promise<number>[] = []
  await pumpAt(rate, rate * seconds, 'sleep', (_, due) => answers.push(get(url, agent, due)))
  return Float64Array.from(await Promise.all(answers))
}
