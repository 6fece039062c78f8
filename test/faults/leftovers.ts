import cluster from 'node:cluster'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import { queryObjects } from 'node:v8'
import { Backend } from '#lib/http/backend.js'
import { Peer } from '#lib/relay/peer.js'
import { Place } from '#lib/relay/place.js'
import { Incarnation } from '#lib/supervisor/incarnation.js'
import { WorkerProcess } from '#lib/supervisor/process.js'
import { Call } from '#lib/tasks/call.js'
import { Link } from '#lib/wire/link.js'
import { heap } from '../wire/heap.js'

type Class = new (...args: never[]) => unknown

/** What the hub makes for a process, a connection or a call, and has to let go of with it. */
const KINDS: Record<string, Class> = { Peer, Place, Incarnation, WorkerProcess, Call, Link, Backend }

/** How many of each the heap holds, with a collection before. */
export async function census(): Promise<Record<string, number>> {
  await heap()
  return Object.fromEntries(
    Object.entries(KINDS).map(([name, kind]) => [name, queryObjects(kind, { format: 'count' })]),
  )
}

/** What this process has open and listens to; to be compared with what it had before. */
export interface Belongings {
  resources: Record<string, number>
  listeners: Record<string, number>
  folders: string[]
}

export async function belongings(): Promise<Belongings> {
  // Outside of timers, of which one that runs counts.
  await new Promise((resolve) => setImmediate(resolve))
  const resources: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const listeners: Record<string, number> = {}
  for (const [who, emitter] of [
    ['process', process],
    ['cluster', cluster],
  ] as const) {
    for (const event of emitter.eventNames()) listeners[`${who} ${String(event)}`] = emitter.listenerCount(event)
  }
  return { resources, listeners, folders: privateFolders() }
}

/** What is there now and was not before. */
export function more(before: Belongings, after: Belongings): string[] {
  const differences: string[] = []
  for (const kind of ['resources', 'listeners'] as const) {
    for (const [name, count] of Object.entries(after[kind])) {
      const had = before[kind][name] ?? 0
      if (count > had) differences.push(`left: ${count - had} more ${kind}: ${name}`)
    }
  }
  for (const folder of after.folders) if (!before.folders.includes(folder)) differences.push(`left: folder ${folder}`)
  return differences
}

/** Private sockets of members. With a TMPDIR of this test's own they are of nobody else. */
function privateFolders(): string[] {
  return fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('hubwire-'))
}

export function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(port, '127.0.0.1')
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}
