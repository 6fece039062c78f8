import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { show } from '../checks.js'
import { invalid } from '../errors.js'

/**
 * The absolute path of the file that a worker runs.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE` when there is no such file
 */
export function resolveExec(exec: unknown, where: string): string {
  if (exec === undefined) {
    const entry = process.argv[1]
    if (entry === undefined) {
      throw invalid(`${where}: exec defaults to the current entry file, and this process has none. Set exec.`)
    }
    return checkFile(resolve(entry), 'exec (by default the current entry file)', where)
  }
  if (exec instanceof URL) return checkFile(fromUrl(exec, where), 'exec', where)
  if (typeof exec !== 'string' || exec === '') {
    throw invalid(`${where}: exec must be a path or a file: URL, not ${show(exec)}.`)
  }
  // What import.meta.resolve() gives is a string.
  if (exec.startsWith('file://')) return checkFile(fromUrl(new URL(exec), where), 'exec', where)
  return checkFile(resolve(exec), 'exec', where)
}

function fromUrl(url: URL, where: string): string {
  try {
    return fileURLToPath(url)
  } catch (error) {
    throw invalid(`${where}: exec ${url.href} is no usable file: URL. ${(error as Error).message}.`)
  }
}

function checkFile(path: string, what: string, where: string): string {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return path
  // Node also starts `node app` for app.js, and so do workers.
  try {
    return createRequire(path).resolve(path)
  } catch {
    const hint = `Strings are resolved against the working directory ${process.cwd()}, URLs are not.`
    throw invalid(`${where}: ${what} ${path} does not exist. ${hint}`)
  }
}
