import { spawnSync } from 'node:child_process'
import { type Browser, chromium } from 'playwright-core'

const HOW = 'On Debian: apt-get install -y chromium. Elsewhere: set CHROMIUM to the path of a Chromium or Chrome.'

/** Where the browser is. Where `CHROMIUM` names one, it is that one or none. */
function findBrowser(): string | undefined {
  const { CHROMIUM } = process.env
  const places = CHROMIUM ? [CHROMIUM] : ['/usr/bin/chromium', '/usr/bin/chromium-browser']
  return places.find((place) => !spawnSync(place, ['--version']).error)
}

export const browserPath = findBrowser()

/** Says that tests are skipped; where CI is set, or a browser was named that is not there, it is an error. */
export function reportMissingBrowser(): void {
  if (browserPath) return
  if (process.env.CI || process.env.CHROMIUM) throw new Error(`There is no browser to test with. ${HOW}`)
  console.log(`Skipped: Chromium is not installed. ${HOW}`)
}

/** With a profile of its own, new and empty, that goes with it. */
export function launchBrowser(): Promise<Browser> {
  if (!browserPath) throw new Error(`There is no browser. ${HOW}`)
  return chromium.launch({
    executablePath: browserPath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
