/** What a deploy is to be measured by: who is connected, and what goes on meanwhile. */
export const RELOAD = {
  workers: 2,
  clients: 1000,
  /** Of these, so many get a steady stream: as many as leave the cores some air. */
  listeners: 100,
  /** Messages a second to each of them. */
  hertz: 100,
}
