// Runs every compiled test file in a process of its own, one after the other, so that no file sees what another left in
// the process (cluster settings, listeners, exit codes), and a file that hangs is named and ended.
//
//   node test/run.mjs [pattern] [--verbose] [--timeout=seconds]
//
// `pattern` is a regular expression, matched against the file's path below test/, such as `wire/` or `schema`. What a
// file prints is shown when it fails, or always with --verbose. Processes that a file leaves behind make it fail, too.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** A file that takes longer hangs. In milliseconds. */
const FILE_TIMEOUT = 180_000
/** How long processes that are on their way out may still take when their file has ended. */
const LEAVE_TIME = 3_000
/** Of a failing file's output: a flood must not bury the summary. */
const MAX_LINES = 300
/** Inherited by every descendant, so that those in sessions of their own are found, too. */
const MARK = 'HUBWIRE_TEST_FILE'

// Without colours the totals can be read.
const { FORCE_COLOR, ...environment } = { ...process.env, NO_COLOR: '1' }

const sources = path.dirname(fileURLToPath(import.meta.url))
const compiled = path.join(sources, '..', 'build', 'test')

const args = process.argv.slice(2)
const unknown = args.find((arg) => arg.startsWith('-') && arg !== '--verbose' && !/^--timeout=\d+$/.test(arg))
if (unknown || args.filter((arg) => !arg.startsWith('-')).length > 1) {
  console.error('usage: node test/run.mjs [pattern] [--verbose] [--timeout=seconds]')
  process.exit(2)
}
const verbose = args.includes('--verbose')
const pattern = new RegExp(args.find((arg) => !arg.startsWith('-')) ?? '')
const timeout = Number(args.find((arg) => arg.startsWith('--timeout='))?.slice(10) ?? FILE_TIMEOUT / 1000) * 1000

// The sources say which tests there are: the build folder may still hold one whose source is gone.
const files = fs
  .readdirSync(sources, { recursive: true })
  .filter((file) => file.endsWith('.test.ts') && !file.includes('node_modules'))
  .map((file) => file.replaceAll(path.sep, '/').replace(/\.ts$/, '.js'))
  .filter((file) => pattern.test(file))
  .sort()

const started = performance.now()
const total = { tests: 0, passed: 0, skipped: 0 }
const failures = []
let current

// The children have process groups of their own: Ctrl-C reaches only this process.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (current) kill(current)
    process.exit(1)
  })
}

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'hubwire-run-'))
process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }))

for (const file of files) await runFile(file)

if (files.length === 0) failures.push(`No test file matches ${pattern}`)
else if (total.tests === 0) failures.push('No test ran')

console.log(`\n  Node.js:   ${process.version}`)
console.log(`  Files:     ${files.length}`)
console.log(`  Total:     ${total.tests}`)
console.log(`  Passed:    ${total.passed}`)
console.log(`  Skipped:   ${total.skipped}`)
console.log(`  Duration:  ${seconds(performance.now() - started)}`)
if (failures.length > 0) {
  console.log(`\n  Failed:\n${failures.map((failure) => `    ${failure}`).join('\n')}`)
  process.exitCode = 1
}
console.log()

async function runFile(file) {
  const script = path.join(compiled, file)
  if (!fs.existsSync(script)) {
    total.tests++
    return fail(file, 'is not compiled: run npm run build:all')
  }

  // Into a file and not a pipe: nothing is lost when the test exits at once, and a process that is left behind keeps
  // no pipe open that this one would wait for.
  const log = path.join(scratch, 'output')
  const output = fs.openSync(log, 'w')
  const mark = randomUUID()
  const begun = performance.now()
  const child = spawn(process.execPath, [script], {
    detached: true,
    stdio: ['ignore', output, output],
    env: { ...environment, [MARK]: mark },
  })
  current = { pid: child.pid, mark }
  let hung = false
  const timer = setTimeout(() => {
    hung = true
    kill(current)
  }, timeout)
  const [code, signal] = await new Promise((resolve) => {
    child.once('exit', (...exit) => resolve(exit))
    child.once('error', (error) => resolve([error.message, null]))
  })
  clearTimeout(timer)
  fs.closeSync(output)

  const left = hung ? [] : await leftBehind(current)
  kill(current)
  current = undefined

  const text = fs.readFileSync(log, 'utf8')
  const counts = { tests: sum(text, 'Total'), passed: sum(text, 'Passed'), skipped: sum(text, 'Skipped') }
  const problems = []
  if (hung) problems.push(`hung: it was killed after ${seconds(timeout)}`)
  // uvu exits with 0 when a `before` hook throws: its counts tell.
  if (counts.passed < counts.tests) {
    const hook = text.includes(' FAIL ') ? '' : ': a hook threw, whose error uvu keeps to itself'
    problems.push(`${counts.tests - counts.passed} of ${counts.tests} tests failed${hook}`)
  }
  if (!hung && code !== 0 && problems.length === 0) problems.push(signal ? `ended by ${signal}` : `exit code ${code}`)
  if (problems.length === 0 && counts.tests + counts.skipped === 0) problems.push('no test ran: is test.run() missing?')
  if (left.length > 0) problems.push(`left ${left.length} process(es) behind: ${left.map(title).join('; ')}`)

  // What fails outside of a test counts as a failed one, so that the totals cannot look right.
  if (problems.length > 0 && counts.passed === counts.tests) counts.tests++
  total.tests += counts.tests
  total.passed += counts.passed
  total.skipped += counts.skipped

  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  const took = seconds(performance.now() - begun)
  const verdict = problems.length > 0 ? 'FAIL' : 'ok  '
  console.log(`${verdict} ${file}  ${counts.passed} of ${counts.tests} passed${skipped}  ${took}`)
  if (verbose || problems.length > 0) console.log(indent(text))
  for (const problem of problems) fail(file, problem)
}

function fail(file, problem) {
  failures.push(`${file}: ${problem}`)
  console.log(`     ${file}: ${problem}`)
}

/** The processes of a test file that are still there when it has ended, and stay. */
async function leftBehind(root) {
  const end = performance.now() + LEAVE_TIME
  for (;;) {
    const left = processesOf(root)
    if (left.length === 0 || performance.now() > end) return left
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Processes that carry the mark in their environment, or that are in the process group or session of the file. */
function processesOf({ pid: root, mark }) {
  if (process.platform !== 'linux') return groupOf(root)
  const found = []
  for (const entry of fs.readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The command, in parentheses, may contain anything. After it: state, parent, group, session.
      const [state, , group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (state === 'Z' || state === 'X') continue
      const inside =
        Number(group) === root ||
        Number(session) === root ||
        fs.readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${MARK}=${mark}`)
      if (inside) {
        const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        found.push({ pid, command })
      }
    } catch {
      // It ended meanwhile, or belongs to somebody else.
    }
  }
  return found
}

/** Without /proc: only whether anybody is in the file's process group. */
function groupOf(root) {
  try {
    process.kill(-root, 0)
    return [{ pid: -root, command: 'process group' }]
  } catch {
    return []
  }
}

function kill(root) {
  // The group first, in one go, so that no supervisor restarts what was killed.
  for (const pid of [-root.pid, ...processesOf(root).map((found) => found.pid)]) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
}

function title({ pid, command }) {
  return `${pid} ${command.slice(0, 120)}`
}

/** uvu's own totals, which it prints once a file. */
function sum(text, word) {
  let result = 0
  for (const match of text.matchAll(new RegExp(`^  ${word}: +(\\d+)$`, 'gm'))) result += Number(match[1])
  return result
}

function indent(text) {
  const lines = text.trimEnd().split('\n')
  const cutOff = lines.length > MAX_LINES ? [`… ${lines.length - MAX_LINES} lines left out …`] : []
  return [...cutOff, ...lines.slice(-MAX_LINES)].map((line) => `     | ${line}`).join('\n')
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`
}
