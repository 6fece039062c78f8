import { execFile } from 'node:child_process'

/**
 * Tells systemd how this service is, by its own `systemd-notify`: Node.js has no Unix datagram sockets. Where no systemd
 * asked to be told, nothing happens. The unit needs `NotifyAccess=all`, because another process than its main one speaks.
 */
export function notify(...states: readonly string[]): Promise<void> {
  if (process.env.NOTIFY_SOCKET === undefined) return Promise.resolve()
  return new Promise((resolve) => {
    execFile('systemd-notify', [`--pid=${process.pid}`, ...states], (error) => {
      if (error) console.error(`systemd-notify ${states.join(' ')}: ${error.message}`)
      resolve()
    })
  })
}

/**
 * Feeds systemd's watchdog, three times as often as it wants to be, as long as `healthy()` says so. A primary whose event
 * loop no longer turns does not come to it, and is restarted after the unit's `WatchdogSec`. Returns what ends it.
 */
export function feedWatchdog(healthy: () => boolean): () => void {
  const period = Number(process.env.WATCHDOG_USEC) / 1000
  // It may be meant for a process above this one.
  const isOurs = process.env.WATCHDOG_PID === undefined || process.env.WATCHDOG_PID === String(process.pid)
  if (!(period > 0) || !isOurs) return () => {}
  const timer = setInterval(() => {
    if (healthy()) notify('WATCHDOG=1')
  }, period / 3)
  timer.unref()
  return () => clearInterval(timer)
}
