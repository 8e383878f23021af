import { type Browser, chromium, type LaunchOptions } from 'playwright-core'
import { part } from '../tools/parts.ts'

/** Chromium; where it is installed, the one without windows, which does the same for two thirds of the processor time. */
export const launchBrowser = (options: LaunchOptions = {}): Promise<Browser> =>
  chromium.launch({
    executablePath: part('chromium-headless-shell') ?? part('chromium') ?? 'chromium',
    ...options,
    args: ['--no-sandbox', '--disable-gpu', ...(options.args ?? [])],
  })
