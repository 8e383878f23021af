import { type Browser, chromium, type LaunchOptions } from 'playwright-core'
import { part } from '../tools/parts.ts'

/** Chromium; where it is installed, the one without windows, which does the same for two thirds of the processor time. */
export async function launchBrowser(options: LaunchOptions = {}): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: part('chromium-headless-shell') ?? part('chromium') ?? 'chromium',
    ...options,
    timeout: 90_000,
    args: ['--no-sandbox', '--disable-gpu', ...(options.args ?? [])],
  })
  // As long as `until` waits: a busy machine may not draw a page in Playwright's 30 s.
  return browser.on('context', context => context.setDefaultTimeout(90_000))
}
