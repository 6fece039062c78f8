import { show } from '../checks.js'
import { invalid } from '../errors.js'

/** In UTF-16 units: ids travel in frames, which count so. */
const LONGEST_ID = 255

/**
 * The string that names a seat: `101` and `'101'` are one.
 * @throws {HubError} `ERR_INVALID_ARG_VALUE` for what can never be an id
 */
export function normaliseId(id: unknown, where: string): string {
  if (typeof id === 'number') {
    if (!Number.isSafeInteger(id)) throw invalid(`${where}: ${show(id)} is no usable id. Use an integer or a string.`)
    return String(id)
  }
  return checkName(id, 'id', where)
}

/** What ids and role names have in common. */
export function checkName(name: unknown, what: 'id' | 'role', where: string): string {
  if (typeof name !== 'string') {
    const expected = what === 'id' ? 'a string or an integer' : 'a string'
    throw invalid(`${where}: the ${what} must be ${expected}, not ${show(name)}.`)
  }
  if (name === '') throw invalid(`${where}: the ${what} is empty. Give it at least one character.`)
  if (name === 'primary') {
    throw invalid(`${where}: the ${what} "primary" is taken by the hub's own process. Choose another.`)
  }
  if (name.length > LONGEST_ID) {
    throw invalid(
      `${where}: the ${what} ${show(name)} has ${name.length} characters. At most ${LONGEST_ID} are allowed.`,
    )
  }
  if (/\p{Cc}/u.test(name)) {
    throw invalid(`${where}: the ${what} ${JSON.stringify(name)} contains control characters. Leave them out.`)
  }
  return name
}
