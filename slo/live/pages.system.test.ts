import { mkdirSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithParts, type Started, startScript, temporaryFolder, until } from '../../test/support.ts'
import { readObjectives } from '../objectives.ts'
import { addPlanned } from '../planned.ts'
import type { Sample } from '../recorder/exposition.ts'
import { createStore, recorderFile } from '../recorder/store.ts'

/** With SHOTS=folder the pages are drawn there, to be looked at. */
const shots = process.env.SHOTS
const minutesADay = 1440
const minutesToCome = 10

type Minute = { online: boolean | null; kept: number; broken: number }

/**
 * Writes a day into a recorder's file, as scrapes of slo and converter every 30 s. It goes on as it ended for some
 * minutes to come, so that what a page says does not depend on how long the test takes.
 */
function recordDay(dataDir: string, minuteOf: (before: number) => Minute): void {
  const store = createStore(
    recorderFile(dataDir),
    readObjectives().map(({ sli }) => sli),
  )
  const counts = { success: 0, failure: 0, kept: 0, broken: 0, slow: 0 }
  const end = Math.floor(Date.now() / 60_000) * 60_000
  for (let before = minutesADay; before > -minutesToCome; before--) {
    const { online, kept, broken } = minuteOf(Math.max(1, before))
    for (const half of [0, 1]) {
      if (half === 1) {
        if (online !== null) counts[online ? 'success' : 'failure'] += 4
        counts.kept += kept
        counts.broken += broken
        counts.slow += broken > 0 ? kept : 0
      }
      if (online === null) continue
      const at = end - before * 60_000 + half * 30_000 + 15_000
      store.append({ job: 'slo', instance: 'slo:1', at, samples: probeSamples(counts) })
      store.append({ job: 'converter', instance: 'converter:1', at, samples: converterSamples(counts) })
    }
  }
  store.close()
}

const probeSamples = ({ success, failure }: { success: number; failure: number }): Sample[] => [
  { name: 'tintype_probe_attempts_total', labels: 'outcome="success"', value: success },
  { name: 'tintype_probe_attempts_total', labels: 'outcome="failure"', value: failure },
]

const times = { receive: 0.05, wait: 0.1, convert: 0.25, store: 0.025, deliver: 0.01 }
const bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

function converterSamples({ kept, broken, slow }: { kept: number; broken: number; slow: number }): Sample[] {
  const photos = kept + broken
  const stage = (name: string, seconds: number): Sample[] => {
    const late = name === 'wait' ? slow + broken : 0
    const bucket = (le: number | '+Inf'): Sample => ({
      name: 'tintype_stage_seconds_bucket',
      labels: `le="${le}",stage="${name}"`,
      value:
        le === '+Inf' || le >= 30
          ? photos
          : le >= seconds
            ? photos - late
            : Math.floor((photos - late) * 0.4 * (le >= seconds / 5 ? 1 : 0)),
    })
    const sum = (photos - late) * seconds * 0.7 + late * 20
    return [...bounds, '+Inf' as const]
      .map(bucket)
      .concat({ name: 'tintype_stage_seconds_sum', labels: `stage="${name}"`, value: sum })
  }
  return [
    { name: 'tintype_promises_total', labels: 'outcome="kept"', value: kept },
    { name: 'tintype_promises_total', labels: 'outcome="broken"', value: broken },
    ...Object.entries(times).flatMap(([name, seconds]) => stage(name, seconds)),
  ]
}

async function startSlo(dataDir: string): Promise<Started> {
  return startScript(
    'slo/main.ts',
    {
      DATA_DIR: dataDir,
      SLO_PORT: '0',
      SLO_ADMIN_PORT: '0',
      LOGS_PORT: '0',
      GRACE_SECONDS: '1',
      // Nobody there: what is shown is what was recorded.
      PROBE_URL: 'http://127.0.0.1:9',
      SCRAPE_SECONDS: '300',
      SCRAPE_TARGETS: 'nobody=http://127.0.0.1:9/metrics',
    },
    ['serve'],
  )
}

const traffic = (before: number) => 5 + Math.round(4 * Math.sin(before / 230))
const days: Record<string, (before: number) => Minute> = {
  well: before => ({
    online: !(before > 1000 && before < 1003),
    kept: traffic(before),
    broken: 0,
  }),
  burning: before => ({
    online:
      before <= 14 || (before > 600 && before < 606) ? false : before > 300 && before < 304 ? null : true,
    kept: before <= 14 ? 2 : traffic(before),
    broken: before <= 14 ? 3 : 0,
  }),
  broken: before => ({
    online: !(before < 400 && before > 320),
    kept: traffic(before),
    broken: before < 360 && before > 320 ? 4 : 0,
  }),
}

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
  })
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

  test.skipIf(!shots)('drawn', async () => {
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
