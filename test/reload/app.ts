import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type HubOptions, type LifecycleEvents, type PrimaryHub, startHub } from 'hubwire'
import { PATIENCE, until } from '../conditions.js'

export { alive, failure, until } from '../conditions.js'

/** A worker's file that a test writes anew, as a deploy does. */
export class App {
  readonly #directory = fs.mkdtempSync(path.join(os.tmpdir(), 'test-reload-'))
  readonly exec = path.join(this.#directory, 'worker.mjs')

  /** `body` finds `hub`, and what `joinHub` is given in `options`. */
  constructor(body: string, options = '{}') {
    this.write(body, options)
  }

  write(body: string, options = '{}'): void {
    const joining = `import { joinHub } from ${JSON.stringify(import.meta.resolve('hubwire'))}`
    this.writeAll(`${joining}\nconst hub = await joinHub(${options})\n${body}\n`)
  }

  writeAll(text: string): void {
    fs.writeFileSync(this.exec, text)
  }

  remove(): void {
    fs.rmSync(this.#directory, { recursive: true })
  }
}

/** What `lifecycle` told, in words. */
export function keepDiary(hub: PrimaryHub): string[] {
  const diary: string[] = []
  const name = ({ id, incarnation }: { id: string; incarnation: number }) => `${id}/${incarnation}`
  for (const event of ['join', 'leave', 'restart', 'give-up'] as const) {
    hub.lifecycle.on(event, ((member: Parameters<LifecycleEvents['join']>[0]) => {
      diary.push(`${event} ${name(member)}`)
    }) as LifecycleEvents[typeof event])
  }
  hub.lifecycle.on('reload', ({ id }, { phase, from, to, done, total }) => {
    diary.push(`${phase} ${id} ${from}>${to} ${done}/${total}`)
  })
  return diary
}

/** Runs a test on a hub whose workers are of this app, and leaves nothing behind. */
export async function withApp(
  app: App,
  options: HubOptions,
  run: (hub: PrimaryHub, diary: string[]) => Promise<void>,
): Promise<void> {
  let hub: PrimaryHub | undefined
  try {
    hub = await startHub({ signals: false, backoff: { min: 1, max: 10 }, timeout: PATIENCE, ...options })
    const { members } = hub
    await until(() => hub?.members.every(({ state }) => state === 'ready'), `${members.length} are ready`)
    await hub.drained()
    await run(hub, keepDiary(hub))
  } catch (error) {
    // What the test did not come to await shall not hide why.
    process.on('unhandledRejection', () => {})
    throw error
  } finally {
    await hub?.close()
    app.remove()
  }
}

export const memberOf = (hub: PrimaryHub, id: string) => {
  const member = hub.members.find((one) => one.id === id)
  if (!member) throw new Error(`nobody is ${id}`)
  return member
}

/** All processes of a seat, as the hub has links to them. */
export const linksOf = (hub: PrimaryHub, id: string) => (hub.stats().links ?? []).filter((link) => link.id === id)
