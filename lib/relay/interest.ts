/** Which events a member listens to. */
export class Registrations {
  readonly #events = new Set<string>()
  /** Listens to all of them. */
  any = false

  listen(name: string, on: boolean): void {
    if (on) this.#events.add(name)
    else this.#events.delete(name)
  }

  listens(name: string): boolean {
    return this.any || this.#events.has(name)
  }
}
