/**
 * A session's id says where the session is: the address of the incarnation that opened it, then what nobody can guess.
 * So the hub can route a request without a table of sessions. The address is a small number that counts the processes
 * that the hub has started; it reveals no more than that, and whoever forges one can do no more than choose a worker,
 * which does not know the session.
 */
const SESSION_ID = /^([0-9a-z]{1,5})\.[\w-]{15,}$/

/** `secret` is engine.io's own id: 20 random characters of base64url. */
export function makeSessionId(address: number, secret: string): string {
  return `${address.toString(36)}.${secret}`
}

/** The address in a session id; undefined when it is none of ours. */
export function addressOf(sessionId: string): number | undefined {
  const prefix = SESSION_ID.exec(sessionId)?.[1]
  return prefix === undefined ? undefined : Number.parseInt(prefix, 36)
}
