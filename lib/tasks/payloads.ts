/** Checks the payloads of tasks, where somebody has said what they must be. A promise where that takes its time. */
export interface TaskPayloads {
  taskInput(task: string, value: unknown): unknown | Promise<unknown>
  hasOutput(task: string): boolean
  taskOutput(task: string, value: unknown): unknown | Promise<unknown>
}
