/** How long something may take to happen before it never will, on a machine that is busy with other things. */
export const PATIENCE = 60_000

/** Waits for a condition, never for time. */
export async function until(condition: () => unknown, what: string): Promise<void> {
  const end = Date.now() + PATIENCE
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`It never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export function alive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0)
  } catch {
    return false
  }
}

/** What a promise is rejected with, or a function throws. */
export async function failure(attempt: Promise<unknown> | (() => unknown)): Promise<Error & { code?: string }> {
  try {
    await (typeof attempt === 'function' ? attempt() : attempt)
  } catch (error) {
    return error as Error
  }
  throw new Error('Expected a failure')
}

/** What the hubs of these tests talk to their workers over: the default, or what `pipe.test.ts` runs them with. */
export const TRANSPORT: { transport?: 'pipe' } = process.env.TEST_TRANSPORT === 'pipe' ? { transport: 'pipe' } : {}
