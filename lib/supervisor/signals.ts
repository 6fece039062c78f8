import { isatty } from 'node:tty'

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** What may be sent to the whole process group and concerns the hub alone. */
const HELD_SIGNALS = [...STOP_SIGNALS, 'SIGHUP'] as const

/** The signals that end a hub. */
export type StopSignal = (typeof STOP_SIGNALS)[number]

/** What the primary does about them. */
export interface SignalHandlers {
  /** Drain and stop. */
  onFirst(signal: StopSignal): void
  /** Whoever asks again has lost patience. Called for every further signal. */
  onSecond(signal: StopSignal): void
  /** Reload. Not called where a terminal is attached: there it says that the terminal is gone. */
  onHangup?(): void
}

/**
 * `npm start` passes Ctrl-C on to a process that got it from the terminal already, within a millisecond or two. Nobody
 * loses patience so soon: such an echo is not a second signal.
 */
const ECHO = 50

/** Listens for Ctrl-C and the service manager in the primary. Returns a function that leaves no listener behind. */
export function installSignals(handlers: SignalHandlers, terminal = hasTerminal()): () => void {
  let first: { signal: StopSignal; time: number } | undefined
  const onHangup = () => handlers.onHangup?.()
  if (!terminal && handlers.onHangup) process.on('SIGHUP', onHangup)
  const stop = listen(STOP_SIGNALS, (signal) => {
    const time = performance.now()
    if (first === undefined) {
      first = { signal, time }
      handlers.onFirst(signal)
    } else if (signal !== first.signal || time - first.time > ECHO) {
      handlers.onSecond(signal)
    }
  })
  return () => {
    stop()
    process.removeListener('SIGHUP', onHangup)
  }
}

/** Whether one of the standard streams is a terminal. */
function hasTerminal(): boolean {
  return [0, 1, 2].some((fd) => isatty(fd))
}

/** Signals that a joined worker leaves to the hub. */
export interface HeldSignals {
  /** From now on a signal is meant for this process itself: it takes effect when they are released. */
  keep(): void
  release(): void
}

/**
 * Makes a joined worker leave these signals to the hub: they may be sent to the whole process group, and a worker that died
 * of them at once could not finish its work.
 */
export function holdSignals(): HeldSignals {
  let keeps = false
  let kept: (typeof HELD_SIGNALS)[number] | undefined
  const stop = listen(HELD_SIGNALS, (signal) => {
    if (keeps) kept = signal
  })
  return {
    keep() {
      keeps = true
    },
    release() {
      stop()
      if (kept) process.kill(process.pid, kept)
      kept = undefined
    },
  }
}

function listen<S extends NodeJS.Signals>(signals: readonly S[], listener: (signal: S) => void): () => void {
  // A function of its own for each call, so that two hubs, or a hub and its user, never remove each other's.
  const own = (signal: NodeJS.Signals) => listener(signal as S)
  for (const signal of signals) process.on(signal, own)
  return () => {
    for (const signal of signals) process.removeListener(signal, own)
  }
}
