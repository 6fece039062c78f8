import type { Whereabouts as Where } from '../handover.js'

/** A session whose requests wait, or that is known to be somewhere. */
interface Entry {
  /** Its polls wait, too. */
  readonly polls: boolean
  readonly after: Promise<void>
  readonly onSettled: () => void
  where: 'here' | { readonly at: number } | undefined
}

/** Where sessions are that come to this process, or leave it: their requests wait meanwhile. */
export class Whereabouts {
  readonly #entries = new Map<string, Entry>()

  /** Its requests wait from now on; its polls only where they are to. */
  hold(id: string, { polls }: { polls: boolean }): void {
    const entry = this.#entries.get(id)
    if (entry && entry.where === undefined) return
    let onSettled = () => {}
    const after = new Promise<void>((resolve) => {
      onSettled = resolve
    })
    this.#entries.set(id, { polls, after, onSettled, where: undefined })
  }

  /** Its requests go there: to the member with that address, or to this one. */
  settle(id: string, where: 'here' | { readonly at: number }): void {
    const entry = this.#entries.get(id)
    if (!entry) return
    entry.where = where
    entry.onSettled()
  }

  /** It is where its id says. */
  forget(id: string): void {
    this.#entries.get(id)?.onSettled()
    this.#entries.delete(id)
  }

  find(id: string, isPoll: boolean): Where | undefined {
    const entry = this.#entries.get(id)
    if (!entry) return undefined
    // What has left answers its last polls here.
    if (isPoll && !entry.polls) return 'here'
    return entry.where ?? entry
  }
}
