import { HubError, joinHub } from 'hubwire'

class PaymentError extends Error {
  override name = 'PaymentError'
  code = 'E_FUNDS'
  missing = { amount: 5n, currency: 'EUR' }
}

/** What handlers throw and return, for the tests to compare. */
const hub = await joinHub()

const failures: Record<string, () => unknown> = {
  custom: () => {
    throw new PaymentError('Too little money', { cause: new RangeError('balance is 3') })
  },
  type: () => (undefined as unknown as { x: number }).x,
  string: () => {
    throw 'just a string'
  },
  undefined: () => {
    throw undefined
  },
  object: () => {
    throw { status: 404, at: new Date(0) }
  },
  rejection: async () => {
    throw new PaymentError('later')
  },
  own: () => {
    throw new HubError('ERR_HUB_OVERLOADED', 'my own')
  },
}
hub.handle('fail', (kind: string) => failures[kind]?.())

const answers: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  map: async () => new Map([['a', new Set([1n])]]),
  binary: () => new Uint8Array([1, 2, 3]),
  // biome-ignore lint/suspicious/noThenProperty: handlers may return what is no Promise, but can be awaited
  thenable: () => ({ then: (resolve: (value: string) => void) => resolve('from a thenable') }),
  function: () => ({ deep: [() => {}] }),
  'late function': async () => () => {},
}
hub.handle('give', (kind: string) => answers[kind]?.())
hub.handle('what is undefined', (input: unknown) => input === undefined)
