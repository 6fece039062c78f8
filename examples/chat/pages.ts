/** The files of the page, read once. What is not in the list does not exist. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import path from 'node:path'

// This file runs as build/examples/chat/pages.js; the page is not compiled, and stays where it is.
const folder = new URL('../../../examples/chat/public/', import.meta.url)

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const NAMES = [
  'index.html',
  'style.css',
  'app.js',
  'timeline.js',
  'composer.js',
  'sidebar.js',
  'deploy.js',
  'dom.js',
  'icon.svg',
]

const files = new Map(
  NAMES.map((name) => {
    const content = readFileSync(new URL(name, folder))
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 16)}"`
    return [name === 'index.html' ? '/' : `/${name}`, { content, etag, type: TYPES[path.extname(name)] ?? '' }]
  }),
)

/** On every answer. The page needs nothing that is not its own, and no script or style within its HTML. */
export const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** Answers with a file of the page; false if there is none of that name. */
export function servePage(request: IncomingMessage, response: ServerResponse, pathname: string): boolean {
  const file = files.get(pathname)
  if (!file) return false
  const headers = { etag: file.etag, 'cache-control': 'no-cache' }
  if (request.headers['if-none-match'] === file.etag) {
    response.writeHead(304, headers).end()
  } else {
    response.writeHead(200, { ...headers, 'content-type': file.type, 'content-length': file.content.length })
    response.end(request.method === 'HEAD' ? undefined : file.content)
  }
  return true
}
