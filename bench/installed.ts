/** The benches beside the package as its users have it, whose modules are bundled: each file takes time to load. */
import fs from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const top = new URL('../../', import.meta.url)
const folder = new URL('build/bench-installed/', top)
let made: Promise<void> | undefined

/** Where copies of the benches are that load the package from an installation. Made anew at the first call. */
export async function installed(): Promise<URL> {
  made ??= make()
  await made
  return new URL('bench/', folder)
}

/** The same as `npm run bundle` does, elsewhere. */
async function make(): Promise<void> {
  const hubwire = new URL('node_modules/hubwire/', folder)
  await fs.rm(folder, { recursive: true, force: true })
  await fs.mkdir(hubwire, { recursive: true })
  await build({
    entryPoints: ['lib/index.ts', 'lib/socket.io/index.ts'].map((file) => fileURLToPath(new URL(file, top))),
    outdir: fileURLToPath(new URL('dist/', hubwire)),
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
  })
  await fs.copyFile(new URL('package.json', top), new URL('package.json', hubwire))
  await fs.cp(new URL('build/bench/', top), new URL('bench/', folder), { recursive: true })
  // A package of another name: in one of its own `hubwire` would find itself.
  await fs.writeFile(new URL('package.json', folder), '{ "type": "module" }\n')
}
