import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'

// Dependencies point one way. A room is a folder of lib/; the files at the top are rooms of their own.

// From build/test/ to the sources.
const lib = fileURLToPath(new URL('../../lib', import.meta.url))

const WORDS = {
  errors: 'all speak of what went wrong in the same way',
  checks: 'all refuse options in the same way',
  types: 'what users are told of',
  timers: 'timers that take Infinity',
  alarm: 'queues at their bound are told of once',
  numbers: 'calls are numbered in one way',
  pace: 'what is handed over goes at one pace',
}

/** What each folder may import beside its own files, and why. */
const FOLDERS: Record<string, Record<string, string>> = {
  types: { contract: 'the types that are made of a contract' },
  wire: { errors: WORDS.errors },
  relay: {
    wire: 'links and frames',
    errors: WORDS.errors,
    checks: 'what cannot be meant is shown in the same way',
    types: WORDS.types,
    timers: WORDS.timers,
    alarm: WORDS.alarm,
  },
  tasks: {
    relay: 'who there is, and the way to them',
    wire: 'frames and bodies',
    errors: WORDS.errors,
    checks: WORDS.checks,
    types: WORDS.types,
    timers: WORDS.timers,
    numbers: WORDS.numbers,
    thenable: 'what handlers and checks may return',
    alarm: WORDS.alarm,
  },
  supervisor: {
    errors: WORDS.errors,
    checks: WORDS.checks,
    types: WORDS.types,
    timers: WORDS.timers,
  },
  http: {
    relay: 'who there is, and what is told of connections',
    wire: 'handles and what travels with them',
    errors: WORDS.errors,
    checks: WORDS.checks,
    types: WORDS.types,
    member: 'what the inlet is a part of: its type alone',
    handover: 'the order to hand over, and what is told of it: its types alone',
    pace: WORDS.pace,
    emitter: 'what a listener of the user throws surfaces in one way',
    alarm: WORDS.alarm,
    timers: WORDS.timers,
  },
  'socket.io': {
    internal: 'the door to a member',
    member: 'what comes through that door: its type alone',
    packets: "a member's half of Socket.IO's traffic",
    recovery: "a member's half of connection state recovery",
    types: WORDS.types,
    wire: 'bodies and packets',
    http: 'the layout of session ids, which the router reads; raw handles of connections that move',
    handover: 'the order to hand over, and what is told of it: its types alone',
    pace: WORDS.pace,
    checks: WORDS.checks,
    errors: WORDS.errors,
    emitter: 'what a listener of the user throws surfaces in one way',
    timers: WORDS.timers,
  },
}

/** The files at the top that every room may stand on: they know only each other. */
const GROUND = ['alarm', 'errors', 'checks', 'contract', 'timers', 'numbers', 'thenable', 'version', 'types']

/** The only third-party package, and who may import it. */
const PEERS: Record<string, string> = { 'socket.io': 'socket.io' }

interface Import {
  file: string
  room: string
  /** A room, or the name of a package. */
  target: string
  local: boolean
  /** Erased by the compiler. */
  typeOnly: boolean
  /** Of a local one: the file. */
  to: string
}

const imports = fs
  .readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .flatMap((file) => importsOf(file.replaceAll(path.sep, '/')))

/** Reads the import lines of a file, `export … from` and `import(…)` among them. */
function importsOf(file: string): Import[] {
  const text = fs.readFileSync(path.join(lib, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
  const statements =
    /^(?:import|export)\s+(type\s)?[\w\s{},*]*?from\s+'([^']+)'|^import\s+()'([^']+)'|\bimport\(\s*()['"]([^'"]+)/gm
  return [...text.matchAll(statements)].map((match): Import => {
    const typeOnly = match[1] !== undefined
    const target = match[2] ?? match[4] ?? match[6] ?? ''
    const local = target.startsWith('.')
    const to = local ? path.posix.join(path.posix.dirname(file), target).replace(/\.js$/, '.ts') : ''
    return { file, room: roomOf(file), target: local ? roomOf(to) : target, local, typeOnly, to }
  })
}

function roomOf(file: string): string {
  const [first = '', second] = file.split('/')
  // `types.ts` is the door of the folder.
  return second === undefined ? first.replace(/\.ts$/, '') : first
}

const folders = new Set(Object.keys(FOLDERS))
const say = ({ file, target, to }: Import) => `${file} imports ${to || target}`

test('the imports are read', () => {
  assert.ok(imports.length > 300, String(imports.length))
  for (const { to, local } of imports) if (local) assert.ok(fs.existsSync(path.join(lib, to)), to)
  const present = fs.readdirSync(lib, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  assert.deepEqual(present.map(({ name }) => name).sort(), [...folders].sort(), 'every folder has an entry')
  // As text, whatever form they have: no statement that names another file is overlooked.
  for (const file of new Set(imports.map((one) => one.file))) {
    const named = fs.readFileSync(path.join(lib, file), 'utf8').match(/(from|import|import\() ?'\.[^']+\.js'/g) ?? []
    assert.equal(imports.filter((one) => one.file === file && one.local).length, named.length, file)
  }
})

test('a room imports only what its entry names', () => {
  const wrong = imports.filter(
    ({ room, target, local }) => local && folders.has(room) && room !== target && !FOLDERS[room]?.[target],
  )
  assert.deepEqual(wrong.map(say), [])
})

test('and its entry names nothing else', () => {
  const idle = Object.entries(FOLDERS).flatMap(([room, allowed]) =>
    Object.keys(allowed)
      .filter((target) => !imports.some((one) => one.room === room && one.target === target))
      .map((target) => `${room} no longer imports ${target}`),
  )
  assert.deepEqual(idle, [])
})

test('the ground knows nobody who stands on it', () => {
  const wrong = imports.filter(({ room, target, local }) => local && GROUND.includes(room) && !GROUND.includes(target))
  assert.deepEqual(wrong.map(say), [])
})

test('nobody knows socket.io', () => {
  const wrong = imports.filter(({ room, target, local }) => local && target === 'socket.io' && room !== 'socket.io')
  assert.deepEqual(wrong.map(say), [])
})

test('what is imported of the member is its type: it is put together elsewhere', () => {
  const wrong = imports.filter(({ room, target, typeOnly }) => target === 'member' && folders.has(room) && !typeOnly)
  assert.deepEqual(wrong.map(say), [])
})

test('no package but Node.js and, for socket.io alone, its peer', () => {
  const wrong = imports.filter(
    ({ room, target, local }) => !local && !target.startsWith('node:') && PEERS[target] !== room,
  )
  assert.deepEqual(wrong.map(say), [])
})

test('the plan of the house names every file, and no other', () => {
  const plan = fs.readFileSync(path.join(lib, '..', 'CONTRIBUTING.md'), 'utf8')
  const named: string[] = []
  let folder: string | undefined
  for (const [, cell = ''] of plan.matchAll(/^\| ([^|]+) \|/gm)) {
    for (const [, name = ''] of cell.matchAll(/`([^`]+)`/g)) {
      if (name.endsWith('/')) folder = name.startsWith('lib/') ? name.slice('lib/'.length) : undefined
      else if (folder !== undefined && name.endsWith('.ts')) named.push(folder + name)
    }
  }
  const present = fs.readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  assert.deepEqual(named.sort(), present.map((file) => file.replaceAll(path.sep, '/')).sort())
})

test('no file imports itself in the end, types aside', () => {
  const edges = imports.filter(({ local, typeOnly }) => local && !typeOnly)
  const done = new Set<string>()
  const visit = (file: string, trail: readonly string[]): void => {
    assert.ok(!trail.includes(file), [...trail, file].join(' → '))
    if (done.has(file)) return
    for (const edge of edges) if (edge.file === file) visit(edge.to, [...trail, file])
    done.add(file)
  }
  for (const { file } of edges) visit(file, [])
})

test.run()
