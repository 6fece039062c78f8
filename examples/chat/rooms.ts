/** The Socket.IO room of all tabs of a user, on whichever workers they are. */
export function roomOf(name: string): string {
  return `user:${name}`
}
