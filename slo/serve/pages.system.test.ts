import { request } from 'node:http'
import { adminApp } from '@tintype/lib/http/admin.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { createLog, type Log } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../../test/browser.ts'
import { describeWithParts, type Started, temporaryFolder, until } from '../../test/support.ts'
import { days, minutesADay, recordDay, startSlo } from '../test/day.ts'

/** As a client that sets what a browser would not let it, such as Host. */
function statusOf(url: string, headers: Record<string, string>): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
  request(url, { method: 'POST', headers }, response => resolve(response.resume().statusCode))
    .on('error', reject)
    .end('{}')
  return promise
}

describeWithParts('the pages of slo', ['chromium'], () => {
  let browser: Browser
  let page: Page
  let problems: string[] = []
  const running: Started[] = []
  const urls: Record<string, string> = {}

  beforeAll(async () => {
    browser = await launchBrowser()
    // One tab for all: a new one takes half a second of processor time.
    page = await browser.newPage({ locale: 'en' })
    page.on('pageerror', error => problems.push(String(error)))
    page.on('console', message => message.type() === 'error' && problems.push(message.text()))
    for (const [name, day] of Object.entries(days)) {
      const dataDir = await temporaryFolder(afterAll)
      recordDay(dataDir, day)
      const started = await startSlo(
        dataDir,
        name === 'burning' ? { SCRAPE_TARGETS: await adminPorts() } : {},
      )
      running.push(started)
      urls[name] = started.endpoints.slo as string
    }
  })
  afterAll(async () => {
    await browser?.close()
    await Promise.all(running.map(started => started.stop()))
  })

  /** Of web and converter: all there is of them in this test. */
  const levels: Record<string, Log> = {}
  const adminPorts = async (): Promise<string> => {
    const targets: string[] = []
    for (const service of ['web', 'converter'] as const) {
      const log = createLog({ service, instance: '0', level: 'info' })
      const metrics = createMetrics(service, '0')
      const { url, close } = await listen(adminApp({ metrics, log, notReady: () => null }), '127.0.0.1', 0)
      afterAll(() => close(0))
      levels[service] = log
      targets.push(`${service}=${url}/metrics`)
    }
    // Named as slo itself, or slo would record its own probe, which fails here.
    return [...targets, 'slo.0=http://127.0.0.1:9/metrics'].join()
  }

  const open = async (address = ''): Promise<void> => {
    // A slo with little processor time answers 503 until it has some: its public work is limited.
    await until(async () => {
      problems = []
      await page.goto(address)
      await page.waitForSelector('html[data-ready]')
      return !problems.some(each => each.includes('503'))
    })
    expect(problems).toEqual([])
  }

  // First: what slo scrapes here of processes that do nothing soon outweighs the recorded incident.
  test('what burns is looked into: stage, evidence, note; a button raises detail and says until when', async () => {
    await open(urls.burning)
    await until(async () => (await page.textContent('#verdict'))?.includes('Slow in wait'), {
      // The next evaluation is up to a minute away, and on a busy machine another minute later.
      timeoutMs: 240_000,
      what: 'the verdict',
    })
    expect(await page.textContent('.stages-took [data-grew]')).toBe('')
    const note = await (await fetch(`${urls.burning}/note`)).text()
    expect(note).toContain('**Slow in wait')
    expect(note).toContain('Online 23 of every 24 hours: 3')
    await page.click('text=More detail from wait')
    await until(async () => (await page.textContent('#verdict'))?.match(/wait until \d\d:\d\d/))
    for (const service of ['web', 'converter'])
      expect(levels[service]?.level().raised).toMatchObject([{ session: null, level: 'debug' }])
  })

  test('a good day says so, with what is left of each budget', async () => {
    await open(urls.well)
    expect(await page.textContent('#lead')).toBe('Both objectives are met.')
    expect(await page.textContent('.card:first-child .left')).toBe('58 minutes of budget left of 60')
    expect(await page.textContent('#alerts')).toBe('No alert fired.')
    expect(await page.locator('#stages svg').count()).toBe(5)
  })

  test('a burning budget names the objectives, the alerts and when it is gone', async () => {
    await open(urls.burning)
    expect(await page.textContent('#lead')).toContain('Burning now: Online 23 of every 24 hours')
    expect(await page.textContent('.card:first-child')).toMatch(
      /gone at \d\d:\d\d at the rate of the last hour/,
    )
    expect(await page.locator('.tiers .state').count()).toBeGreaterThanOrEqual(2)
    expect(await page.textContent('#alerts')).toContain('page-fast')
    const runbook = await page.getAttribute('.card:first-child a', 'href')
    const answer = await fetch(`${urls.burning}/${runbook}`)
    expect(await answer.text()).toContain('# AvailabilityBudgetBurn')
    await page.click('#alerts td a')
    await until(async () => /^The page shows the state of/.test((await page.textContent('#notice')) ?? ''))
  })

  test('what is drawn again keeps the focus, and what was unfolded stays so', async () => {
    await open(urls.burning)
    await page.click('#day-facts summary')
    await page.focus('#zoom button:nth-child(2)')
    await page.keyboard.press('Enter')
    expect(await page.textContent('#zoom [aria-pressed="true"]')).toBe('6 h')
    expect(await page.textContent('#zoom :focus')).toBe('6 h')
    expect(await page.locator('#day-facts details[open]').count()).toBe(1)
  })

  test('an alert’s link shows the page as it was then, and the way to now', async () => {
    const at = Math.floor(Date.now() / 60_000) - 120
    await open(`${urls.burning}/?at=${at * 60}`)
    expect(await page.textContent('#notice')).toMatch(
      /^The page shows the state of \d{4}-\d\d-\d\d \d\d:\d\d UTC\. Show now$/,
    )
    expect(await page.textContent('#lead')).toBe('Both objectives are met.')
    // Stages are those of now, and so is what a button would do.
    expect(await page.isHidden('#stages-section')).toBe(true)
    expect(await page.locator('#verdict button').count()).toBe(0)
    await page.click('#notice a')
    await until(async () => (await page.textContent('#lead'))?.includes('Burning now'))
    expect(await page.isHidden('#notice')).toBe(true)
    await page.locator('#stages-section').waitFor()
    const state = async (query: string) => (await fetch(`${urls.burning}/api/state?at=${query}`)).status
    expect([await state('soon'), await state('2020-01-01'), await state('now')]).toEqual([400, 404, 200])
  })

  test('an address whose time is empty shows now', async () => {
    await open(`${urls.well}/?at=`)
    expect(await page.textContent('#lead')).toBe('Both objectives are met.')
    expect(await page.isHidden('#notice')).toBe(true)
  })

  test('a link to a time that is no longer kept, or is none, says so in the language of the page', async () => {
    const leadAt = async (query: string) => {
      await page.goto(`${urls.well}/?at=${query}`)
      await page.waitForSelector('html[data-ready]')
      return page.textContent('#lead')
    }
    expect(await leadAt('2020-01-01')).toContain('longer ago than the pages show')
    expect(await leadAt('soon&lang=ko')).toContain('주소의 시각을 알 수 없습니다')
    await page.context().clearCookies()
  })

  test('what if: the address holds the outage, and the backtest answers', async () => {
    await open(`${urls.well}/?outage=full+10m`)
    await until(async () => (await page.textContent('#whatif-answer'))?.includes('fires after 6 min'))
    await page.fill('#whatif input', 'nonsense')
    await page.press('#whatif input', 'Enter')
    await until(async () => (await page.textContent('#whatif-answer'))?.includes('full D'))
    expect(page.url()).toContain('outage=nonsense')
  })

  test('a maintenance fits or does not', async () => {
    await open(urls.well)
    const ask = async (minutes: number, answer: string) => {
      await page.fill('#fits [name=minutes]', String(minutes))
      await page.fill('#fits [name=at]', 'now ') // a phone's keyboard adds a space, and begins with a capital
      await page.press('#fits [name=at]', 'Enter')
      await until(async () => (await page.textContent('#fits-answer'))?.startsWith(answer))
    }
    await ask(45, 'Yes: 13 min of the budget would be left.')
    await ask(60, 'No: 2 min too many.')
    expect(await page.locator('input:not([type=number], [autocapitalize=off])').count()).toBe(0)
    await page.fill('#fits [name=at]', 'soon')
    await page.press('#fits [name=at]', 'Enter')
    await until(async () => (await page.textContent('#fits-answer'))?.startsWith('Write a time to come'))
  })

  test('a good day has nothing to look into until somebody asks', async () => {
    await open(urls.well)
    expect(await page.textContent('#verdict')).toContain('Not diagnosed yet')
    await until(async () => {
      // Again, because a slo with little processor time refuses; while it works a click asks nothing.
      await page.click('text=Diagnose now', { timeout: 2_000 }).catch(() => {})
      return (await page.textContent('#verdict'))?.includes('Diagnose again')
    })
    expect(await page.locator('text=More detail').count()).toBe(0)
  })

  test.each([
    ['another site’s script', { 'Content-Type': 'application/json', Origin: 'http://elsewhere.test' }, 403],
    ['another site’s form', { 'Content-Type': 'text/plain' }, 415],
    ['a name that leads here', { 'Content-Type': 'application/json', Host: 'elsewhere.test' }, 403],
    ['another machine', { 'Content-Type': 'application/json', 'X-Forwarded-For': '192.0.2.1' }, 403],
  ])('%s raises no detail', async (_who, headers, status) => {
    expect(await statusOf(`${urls.burning}/api/detail`, headers)).toBe(status)
  })

  test('the status page is one sentence, a day of cells and incidents in words, also in Korean', async () => {
    await open(`${urls.burning}/status`)
    expect(await page.textContent('#lead')).toMatch(
      /^Offline\. In the last 24 hours 2\d minutes offline of the 60 allowed\. The thumbnail in time: 99\.\d+ ?% of [\d,]+ \w+\.$/,
    )
    expect(await page.locator('.hour i').count()).toBe(minutesADay)
    expect(await page.locator('.incidents li').count()).toBe(3)
    await open(`${urls.burning}/status/?lang=ko`)
    expect(await page.textContent('#lead')).toContain('오프라인입니다')
  })
})
