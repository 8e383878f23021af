import { mkdirSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithParts, type Started, temporaryFolder, until } from '../../test/support.ts'
import { addPlanned } from '../planned.ts'
import { days, minutesADay, recordDay, startSlo } from '../test/day.ts'

/** With SHOTS=folder the pages are drawn there, to be looked at. */
const shots = process.env.SHOTS
describeWithParts('the pages of slo', ['chromium'], ({ chromium: executablePath }) => {
  let browser: Browser
  const running: Started[] = []
  const urls: Record<string, string> = {}

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
    for (const name of ['well', 'burning', ...(shots ? ['broken', 'empty'] : [])]) {
      const dataDir = await temporaryFolder(afterAll)
      const day = days[name]
      if (day) recordDay(dataDir, day)
      const now = Math.floor(Date.now() / 60_000)
      if (name === 'broken') addPlanned(dataDir, { from: now - 345, to: now - 320, reason: 'new disk' })
      const started = await startSlo(dataDir)
      running.push(started)
      urls[name] = started.endpoints.slo as string
    }
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await Promise.all(running.map(started => started.stop()))
  })

  const open = async (address: string, options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> => {
    const page = await browser.newPage(options)
    const problems: string[] = []
    page.on('pageerror', error => problems.push(String(error)))
    page.on('console', message => message.type() === 'error' && problems.push(message.text()))
    await page.goto(address)
    await page.waitForSelector('html[data-ready]')
    expect(problems).toEqual([])
    return page
  }

  test('a good day says so, with what is left of each budget', async () => {
    const page = await open(urls.well as string, { locale: 'en' })
    expect(await page.textContent('#lead')).toBe('Both promises are kept.')
    expect(await page.textContent('.card:first-child .left')).toBe('58 minutes of budget left of 60')
    expect(await page.textContent('#alerts')).toBe('No alert fired.')
    expect(await page.locator('.stages canvas').count()).toBe(5)
    await page.close()
  })

  test('a burning budget names the promises, the alerts and when it is gone', async () => {
    const page = await open(urls.burning as string, { locale: 'en' })
    expect(await page.textContent('#lead')).toContain('Burning now: Online 23 of every 24 hours')
    expect(await page.textContent('.card:first-child')).toMatch(
      /gone at \d\d:\d\d at the rate of the last hour/,
    )
    expect(await page.locator('.tiers .state').count()).toBeGreaterThanOrEqual(2)
    expect(await page.textContent('#alerts')).toContain('availability page-fast')
    await page.close()
  })

  test('what if: the address holds the outage, and the backtest answers', async () => {
    const page = await open(`${urls.well}/?outage=full+10m`, { locale: 'en' })
    await until(async () => (await page.textContent('#whatif-answer'))?.includes('fires after 6 min'))
    await page.fill('#whatif input', 'nonsense')
    await page.press('#whatif input', 'Enter')
    await until(async () => (await page.textContent('#whatif-answer'))?.includes('full D'))
    expect(page.url()).toContain('outage=nonsense')
    await page.close()
  })

  test('a maintenance fits or does not', async () => {
    const page = await open(urls.well as string, { locale: 'en' })
    const ask = async (minutes: number, answer: string) => {
      await page.fill('#fits [name=minutes]', String(minutes))
      await page.fill('#fits [name=at]', 'now')
      await page.press('#fits [name=at]', 'Enter')
      await until(async () => (await page.textContent('#fits-answer'))?.startsWith(answer))
    }
    await ask(45, 'Yes: 13 min of the budget would be left.')
    await ask(60, 'No: 2 min too many. It would fit from 20')
    await page.fill('#fits [name=at]', 'soon')
    await page.press('#fits [name=at]', 'Enter')
    await until(async () => (await page.textContent('#fits-answer'))?.startsWith('Write the time'))
    await page.close()
  })

  test('the status page is one sentence, a day of cells and incidents in words, also in Korean', async () => {
    const page = await open(`${urls.burning}/status`, { locale: 'en' })
    expect(await page.textContent('#lead')).toMatch(
      /^Offline\. In the last 24 hours 2\d minutes offline of the 60 allowed; 99\.\d+ ?% of/,
    )
    expect(await page.locator('.hour i').count()).toBe(minutesADay)
    expect(await page.locator('.incidents li').count()).toBe(3)
    await page.close()
    const korean = await open(`${urls.burning}/status?lang=ko`)
    expect(await korean.textContent('#lead')).toContain('오프라인입니다')
    await korean.close()
  })

  test.skipIf(!shots)('drawn', { timeout: 600_000 }, async () => {
    mkdirSync(shots as string, { recursive: true })
    for (const [name, url] of Object.entries(urls))
      for (const path of ['', 'status'])
        for (const [width, colorScheme] of [
          [360, 'dark'],
          [1024, 'light'],
          [1024, 'dark'],
          [2560, 'light'],
        ] as const) {
          if (name !== 'burning' && width !== 1024) continue
          const page = await open(`${url}/${path}`, {
            viewport: { width, height: 900 },
            colorScheme,
            locale: 'en',
          })
          await page.screenshot({
            path: `${shots}/${name}-${path || 'slo'}-${width}-${colorScheme}.png`,
            fullPage: true,
          })
          await page.close()
        }
  })
})
