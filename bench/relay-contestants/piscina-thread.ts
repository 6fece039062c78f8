/** What piscina's threads run. */
import type { Item } from '../workloads.js'

export default function echo(item: Item): Item {
  return item
}
