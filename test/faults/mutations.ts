// Plants bugs in copies of the compiled library, one at a time, and looks whether the campaign finds them:
// npm run test:faults -- --mutations [--only name]
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** From build/test/faults/. */
const root = fileURLToPath(new URL('../../..', import.meta.url))

interface Mutation {
  name: string
  file: string
  /** Stands there once. */
  target: string
  instead: string
  /** What the campaign must say. */
  expected: RegExp
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'events are delivered twice now and then',
    file: 'relay/peer.js',
    target: 'if (this.#link.over)\n            this.#hold(sender);',
    instead:
      'this.planted = (this.planted ?? 0) + 1;\n' +
      '        if (this.planted % 300 === 0) this.#link.write(sender.#senderFrame, frames, attachments, owned);\n' +
      '        if (this.#link.over) this.#hold(sender);',
    expected: /order: .* twice|answered twice/,
  },
  {
    name: 'of batches that wait the newest goes first',
    file: 'wire/link.js',
    target: 'this.#closed.shift()',
    instead: 'this.#closed.pop()',
    expected: /order: .* out of order/,
  },
  {
    name: 'events held for a seat are forgotten',
    file: 'held.js',
    target: 'peer.deliver(sender, frame, attached);',
    instead: '',
    expected: /lost: /,
  },
  {
    name: 'events that are dropped are not counted',
    file: 'relay/peer.js',
    target: 'this.droppedEvents += this.#link.dropEvents(highWaterMark);',
    instead: 'this.#link.dropEvents(highWaterMark);',
    expected: /lost: /,
  },
  {
    name: 'broadcasts reach their sender, too',
    file: 'relay/switchboard.js',
    target: 'address === Address.Others && place === from.place',
    instead: 'false',
    expected: /astray: /,
  },
  {
    name: 'who asked a member that dies is never answered',
    file: 'tasks/dispatcher.js',
    target: 'for (const call of this.#desks.servedBy(desk))\n            this.#serverLeft(call, peer);',
    instead: '',
    expected: /no answer within|never answered|not converged: (the load|nothing waits)/,
  },
  {
    name: 'retries are not heeded',
    file: 'tasks/dispatcher.js',
    target: 'if (call.retries === 0) {\n            this.#refuse(call,',
    instead: 'if (true) {\n            this.#refuse(call,',
    expected: /was not sent again/,
  },
  {
    name: 'answers go to whoever has the seat of the caller now',
    file: 'tasks/dispatcher.js',
    target:
      'if (call.cancelled)\n            return NOWHERE;\n        if (!caller.full)\n            return caller.only;',
    instead: 'if (!caller.full) return caller.place.only;',
    expected: /which this process never made|got the answer to/,
  },
  {
    name: 'who cancels a call need not have asked',
    file: 'tasks/dispatcher.js',
    target:
      'if (whose !== Address.Hub && whose !== from.address) {\n' +
      '            from.offend(() => say.notYoursToCancel(this.#desks.find(whose, readCall(text, at))));\n' +
      '            return NOWHERE;\n        }\n        const call = this.#desks.of(from).calls.get(readCall(text, at));',
    instead: 'const call = this.#desks.find(whose === Address.Hub ? from.address : whose, readCall(text, at));',
    expected: /no answer within|never answered|not converged: (the load|nothing waits)/,
  },
  {
    name: 'handlers get more than their concurrency',
    file: 'tasks/servers.js',
    target: 'if (handler.running < handler.concurrency && load < least)',
    instead: 'if (load < least)',
    expected: /run at a time/,
  },
  {
    name: 'packets to rooms are lost now and then',
    file: 'relay/switchboard.js',
    target: 'to = this.#rooms.route(from, text, at);\n',
    instead:
      '{ this.planted = (this.planted ?? 0) + 1; to = this.planted % 50 === 0 ? NOWHERE : this.#rooms.route(from, text, at); }\n',
    expected: /packet: .* (missed|never came)|last packet/,
  },
  {
    name: 'members are not told that others are back',
    file: 'exchange.js',
    target: "this.#tellAll({ t: 'member', member: addressed(place), role: role && [role.name, role.address] });",
    instead:
      "if (place.state !== 'ready' || place.incarnation === 1) " +
      "this.#tellAll({ t: 'member', member: addressed(place), role: role && [role.name, role.address] });",
    expected: /not converged: all members/,
  },
  {
    name: 'what is kept of processes that are gone stays',
    file: 'relay/directory.js',
    target: 'forget(peer) {\n        this.#entries[peer.address] = undefined;',
    instead: 'forget(peer) {',
    expected: /nothing is kept of processes/,
  },
  {
    name: 'the rooms of workers that are gone stay',
    file: 'exchange.js',
    target: 'place.pressure.relieve();\n        this.#lobby.leave(peer);',
    instead: 'place.pressure.relieve();',
    expected: /not converged: (all members see the same clients|nothing is kept)/,
  },
  {
    name: 'private sockets of workers that were killed stay',
    file: 'primary.js',
    target: 'removePrivateSocket(privateSocketOf(exchange.sockets, peer.address));',
    instead: '',
    expected: /left: folder/,
  },
]

/** Returns whether each was found, and the library as it is passes. */
export async function plant(seed: number, only?: string): Promise<boolean> {
  const chosen = MUTATIONS.filter(({ name }) => only === undefined || name.includes(only))
  let missed = 0
  const plain = await tryOut(undefined, seed)
  console.log(`${plain.passed ? 'ok  ' : 'FAIL'} as it is: ${plain.passed ? 'nothing is found' : plain.violations[0]}`)
  if (!plain.passed) missed++
  for (const mutation of chosen) {
    const { passed, violations } = await tryOut(mutation, seed)
    const found = violations.find((line) => mutation.expected.test(line))
    const said = found ?? (passed ? 'nothing was found' : `only: ${violations[0]}`)
    console.log(`${found ? 'ok  ' : 'FAIL'} ${mutation.name}: ${said.slice(0, 160)}`)
    if (!found) missed++
  }
  console.log(`${chosen.length} planted, ${missed} failed`)
  return missed === 0
}

async function tryOut(
  mutation: Mutation | undefined,
  seed: number,
): Promise<{ passed: boolean; violations: string[] }> {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'hubwire-mutation-'))
  try {
    for (const name of ['dist', 'build', 'package.json'])
      fs.cpSync(path.join(root, name), path.join(copy, name), { recursive: true })
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'))
    if (mutation) {
      const file = path.join(copy, 'dist', mutation.file)
      fs.writeFileSync(file, mutated(fs.readFileSync(file, 'utf8'), mutation))
    }
    return await run(copy, seed)
  } finally {
    fs.rmSync(copy, { recursive: true, force: true })
  }
}

/** Plants a bug in the text of a file. */
export function mutated(text: string, { name, file, target, instead }: Mutation): string {
  const parts = text.split(target)
  if (parts.length !== 2)
    throw new Error(`"${name}": its target stands ${parts.length - 1} times in ${file}. Mend the mutation.`)
  return parts.join(instead)
}

function run(copy: string, seed: number): Promise<{ passed: boolean; violations: string[] }> {
  const script = path.join(copy, 'build/test/faults/main.js')
  // On a busy machine, too, there is to be time for what is rare.
  const child = spawn(process.execPath, [script, '--rounds', '3', '--rage', '11', '--seed', String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: copy },
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  return new Promise((resolve) => {
    child.once('close', (code) => {
      const violations = output.split('\n').filter((line) => line.startsWith('VIOLATION '))
      // A campaign that ended itself has found something, too, and says no more than its last line.
      if (code !== 0 && violations.length === 0)
        violations.push(output.trim().split('\n').at(-1) ?? `exit code ${code}`)
      resolve({ passed: code === 0, violations: violations.map((line) => line.replace('VIOLATION ', '')) })
    })
  })
}
