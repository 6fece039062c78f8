/** What the processes of this example say to each other. Types only. */
export interface Auction {
  events: {
    /** To the primary, which gives bids their numbers. */
    offer: (by: string, amount: number) => void
    /** To all who watch. */
    bid: (bid: Bid) => void
  }
}

export interface Bid {
  n: number
  by: string
  amount: number
}

/** What goes along with a client when its process is exchanged. */
export interface Bidder {
  name: string
  /** The last bid that it was shown. */
  seen: number
  /** How often it has bid. */
  bids: number
}
