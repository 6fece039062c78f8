/** Prints lines that say which process they come from. */
export function logger(id: string): (text: string) => void {
  return (text) => console.log(`${id.padEnd(11)} pid ${String(process.pid).padEnd(7)} ${text}`)
}
