/** Unix sockets for the processes of one run. */
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** In the primary of a run and in its workers: where a seat listens. */
export function socketOf(seat: string): string {
  const folder = folderOf(process.env.SEAT === undefined ? process.pid : process.ppid)
  fs.mkdirSync(folder, { recursive: true })
  return path.join(folder, `${seat}.sock`)
}

/** Removes what a run left. */
export function removeSockets(primary: number): void {
  fs.rmSync(folderOf(primary), { recursive: true, force: true })
}

function folderOf(primary: number): string {
  return path.join(tmpdir(), `hubwire-bench-${primary}`)
}
