/** What a connection was given by the process that had it before. */
export interface HandedOver {
  /** What `onHandover` returned there. */
  readonly state: unknown
}

const handedOver = new WeakMap<object, HandedOver>()

/**
 * What a WebSocket was given by the process that had it before; undefined for those that have connected here. It is known
 * when its server emits `'connection'`.
 */
export function handoverOf(webSocket: object): HandedOver | undefined {
  return handedOver.get(webSocket)
}

export function markHandedOver(webSocket: object, state: unknown): void {
  handedOver.set(webSocket, Object.freeze({ state }))
}
