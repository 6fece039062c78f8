export async function plant(_seed: number, _only?: string): Promise<boolean> {
  return false
}
