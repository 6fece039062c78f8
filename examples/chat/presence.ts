/**
 * Who is online: whoever has a tab somewhere. Nothing is counted. A user arrives with a tab; when one of the tabs is
 * gone, and the grace period too, the workers are asked whether the user has another. So a tab that reloads makes
 * nobody flicker, and what a crashed worker could not tell any more is put right.
 */
export class Presence {
  readonly #online = new Set<string>()
  readonly #checks = new Map<string, NodeJS.Timeout>()
  readonly #hasTab: (name: string) => Promise<boolean>
  readonly #changed: () => void
  readonly #grace: number

  /** `grace` is in milliseconds. */
  constructor(hasTab: (name: string) => Promise<boolean>, changed: () => void, grace: number) {
    this.#hasTab = hasTab
    this.#changed = changed
    this.#grace = grace
  }

  get names(): string[] {
    return [...this.#online].sort((a, b) => a.localeCompare(b))
  }

  /** Returns whether that is news. */
  arrived(name: string): boolean {
    clearTimeout(this.#checks.get(name))
    this.#checks.delete(name)
    if (this.#online.has(name)) return false
    this.#online.add(name)
    this.#changed()
    return true
  }

  /** Those who were here before this process was. Whoever went meanwhile is found out. */
  restore(names: Iterable<string>): void {
    for (const name of names) this.#online.add(name)
    this.#changed()
    this.doubtAll()
  }

  /** One of the user's tabs is gone. */
  departed(name: string): void {
    if (!this.#online.has(name)) return
    clearTimeout(this.#checks.get(name))
    const check = setTimeout(() => this.#check(name, check), this.#grace)
    this.#checks.set(name, check)
  }

  /** A worker is gone, and with it nobody knows whose tabs. */
  doubtAll(): void {
    for (const name of this.#online) this.departed(name)
  }

  async #check(name: string, check: NodeJS.Timeout): Promise<void> {
    const there = await this.#hasTab(name).catch(() => undefined)
    // Somebody came, or went, while the workers were asked: another check follows, or none is needed.
    if (this.#checks.get(name) !== check) return
    this.#checks.delete(name)
    if (there === undefined) return this.departed(name)
    if (there) return
    this.#online.delete(name)
    this.#changed()
  }
}
