import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

const PREFIX = 'hubwire-'
const NAME = 'http.sock'

/** What one hub calls the directories of its members. Nobody else can guess it, and be there first. */
export function namePrivateSockets(): string {
  return randomBytes(6).toString('hex')
}

/**
 * Where the member with that address listens. The hub knows it before the member does: whenever that is killed, what it
 * may have made can be removed.
 */
export function privateSocketOf(hub: string, address: number): string {
  return path.join(os.tmpdir(), `${PREFIX}${hub}-${address}`, NAME)
}

/** A place for a Unix socket that only this user can reach: a directory of its own. */
export function createPrivateSocket(hub: string, address: number): string {
  const socket = privateSocketOf(hub, address)
  fs.mkdirSync(path.dirname(socket), { mode: 0o700 })
  return socket
}

/** Removes it with its directory. Does nothing when it is gone, or is no path that `createPrivateSocket` makes. */
export function removePrivateSocket(socket: string): void {
  const directory = path.dirname(socket)
  const isOurs =
    path.basename(socket) === NAME &&
    path.basename(directory).startsWith(PREFIX) &&
    path.dirname(directory) === path.resolve(os.tmpdir())
  if (!isOurs) return
  try {
    fs.rmSync(socket, { force: true })
    fs.rmdirSync(directory)
  } catch {
    // Somebody was faster, or has put something there: then it is not ours to remove.
  }
}
