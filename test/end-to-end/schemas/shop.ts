/** What the tests of schemas and their workers talk about. */
export interface Shop {
  events: {
    ordered: (order: { id: number; customer: string }) => void
    audited: (entry: string) => void
  }
  tasks: {
    price: (item: { name: string; quantity: number }) => { total: number }
    reserve: (name: string) => string
    /** What a worker has been given so far. Without schemas, as the next ones. */
    seen: () => Seen
    /** Has a worker ask another member, and tells how that went. */
    ask: (question: { id: string; name: unknown }) => string
    /** Has a worker send the event `ordered` to another member. */
    tell: (what: { id: string; order: unknown }) => void
  }
}

export interface Seen {
  events: unknown[][]
  any: string[]
  inputs: unknown[]
  refused: number
  served: number
}

// The schemas change each time what they are given: that is how a test sees how often a payload has been validated.

export const exclaim = (text: string) => `${text}!`
export const half = (total: number) => total + 0.5
