/** What names of rooms that are no strings begin with; strings that begin so get it in front, too. */
const ODD = '\0'

/** The name that a room has on the hub. Rooms are strings; what is none, such as a number, is another room than its digits. */
export function roomKey(room: unknown): string {
  if (typeof room !== 'string') return `${ODD}${typeof room}:${String(room)}`
  return room.startsWith(ODD) ? `${ODD}string:${room}` : room
}

/** The room of that name. Of what cannot be made from its name, such as a symbol, the name remains. */
export function roomOf(key: string): unknown {
  if (!key.startsWith(ODD)) return key
  const end = key.indexOf(':')
  const name = key.slice(end + 1)
  switch (key.slice(1, end)) {
    case 'number':
      return Number(name)
    case 'bigint':
      return /^-?\d+$/.test(name) ? BigInt(name) : name
    case 'boolean':
      return name === 'true'
    default:
      return name
  }
}
