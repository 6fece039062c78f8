import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

const PREFIX = 'hubwire-'
const NAME = 'http.sock'

/** A place for a Unix socket that only this user can reach: a directory of its own, which `mkdtemp` makes with 0700. */
export function createPrivateSocket(): string {
  return path.join(fs.mkdtempSync(path.join(os.tmpdir(), PREFIX)), NAME)
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
