import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { listen } from '@tintype/lib/http/listen.ts'
import { openPages } from '@tintype/lib/page/pages.ts'
import express from 'express'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { barriers } from '../../test/accessible.ts'
import { launchBrowser } from '../../test/browser.ts'
import { describeWithParts, until } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { parseOutage, replayOutage } from '../math/outage.ts'
import type { State } from '../page/api.ts'
import { pageStates, stages } from '../test/page-states.ts'

/** With SHOTS=folder the pages are drawn there. */
const shots = process.env.SHOTS
const { objectives } = readDirectory()
const release = {
  to: '1.4.0',
  look: {
    percent: 25,
    objectives: [{ objective: 'latency', old: { bad: 3, total: 900 }, new: { bad: 9, total: 300 } }],
  },
}

/** The pages with states that are made up. */
function pagesOf(state: () => unknown): express.Express {
  const pages = openPages(join(import.meta.dirname, '../page'), {
    title: 'Tintype',
    program: 'npm run slo --',
  })
  const app = express().get(...pages.assets)
  app.get('/', pages.html('index.html')).get('/status', pages.html('status.html'))
  app.get(
    '/pages.json',
    (_, response) => void response.json({ status: 'status', objectives: '.', logs: 'http://logs/' }),
  )
  app.get('/api/state', (_, response) => void response.json(state()))
  app.get('/api/stages', (_, response) => void response.json(stages))
  app.get('/api/release', (_, response) => void response.json(release))
  const alerts = objectives.flatMap(each => replayOutage(each, parseOutage('full 10m') ?? [], 0))
  app.get('/api/what-if', (_, response) => void response.json({ minutes: 10, alerts }))
  return app
}

describeWithParts('the pages of slo in each state', ['chromium'], () => {
  let browser: Browser
  let page: Page
  let problems: string[] = []
  let address: string
  let shown: keyof typeof pageStates = ''
  beforeAll(async () => {
    browser = await launchBrowser()
    const { url, close } = await listen(
      pagesOf(() => pageStates[shown]),
      '127.0.0.1',
      0,
    )
    address = url
    afterAll(() => close(0))
    // One tab for all: a new one takes half a second of processor time.
    page = await browser.newPage()
    // As the iPhones have it that stay at iOS 16.
    await page.addInitScript('delete Object.groupBy; delete Map.groupBy; delete Promise.withResolvers')
    page.on('pageerror', error => problems.push(String(error)))
    page.on('console', message => message.type() === 'error' && problems.push(message.text()))
  })
  afterAll(() => browser?.close())

  const open = async (path: string, language: string, width: number): Promise<void> => {
    problems = []
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize({ width, height: 900 })
    await page.goto(`${address}/${path}?lang=${language}`)
    await page.waitForSelector('html[data-ready]')
    expect(problems).toEqual([])
  }
  const draw = (name: string) =>
    shots && page.screenshot({ path: join(shots, `${name.replaceAll(/[ ,/]+/g, '-')}.png`), fullPage: true })
  if (shots) mkdirSync(shots, { recursive: true })

  /** The size of letters that a person has set in the browser. */
  const setLetters = async (standard: number): Promise<void> => {
    const devtools = await page.context().newCDPSession(page)
    await devtools.send('Page.setFontSizes', { fontSizes: { standard } })
    await devtools.detach()
  }
  const isWiderThanScreen = () =>
    page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')

  const names = process.env.TEST_FULL ? Object.keys(pageStates) : ['burning', 'ten objectives']
  describe.each(names)('%s', name => {
    test.each(['', 'status'])(
      '/%s has no barriers in light and dark, and fits a phone and 4K',
      async path => {
        shown = name
        for (const language of ['en', 'ko']) {
          await open(path, language, 320)
          if (language === 'en') expect(await barriers(page)).toEqual([])
          for (const width of [320, 1024, 3840]) {
            await page.setViewportSize({ width, height: 900 })
            expect(await isWiderThanScreen(), `${language}, ${width} px`).toBe(false)
            await draw(`${name} ${path || 'objectives'} ${language} ${width}`)
          }
          await page.setViewportSize({ width: 320, height: 900 })
          await setLetters(32)
          expect(await isWiderThanScreen(), `${language}, large letters`).toBe(false)
          await setLetters(16)
        }
      },
    )
  })

  test.skipIf(!shots)('the picture of README, drawn as slo.png', async () => {
    shown = 'burning'
    await open('', 'en', 1024)
    const { y = 0, height = 0 } = (await page.locator('#verdict').boundingBox()) ?? {}
    const clip = { x: 0, y: 0, width: 1024, height: y + height + 24 }
    await page.screenshot({ path: `${shots}/slo.png`, fullPage: true, clip })
  })

  const textOf = async (name: string, path: string, selector: string): Promise<string | null> => {
    shown = name
    await open(path, 'en', 1024)
    return page.textContent(selector)
  }

  test('what was measured so far fills the strip, and the rest is said in words', async () => {
    shown = 'first minutes'
    await open('', 'en', 1024)
    expect(await page.textContent('#day-facts')).toContain('Measured since 12:17: 13 min of 24 hours.')
    const [strip, bar] = [page.locator('.strip').first(), page.locator('.strip rect').first()]
    expect((await bar.boundingBox())?.width).toBe((await strip.boundingBox())?.width)
    expect(await page.locator('#zoom button').count()).toBe(0)
    expect(await textOf('first minutes', 'status', '#hours')).toContain(
      'Measured since 12:17: 13 min of 24 hours.',
    )
    expect(await textOf('first minutes without events', '', '#day-facts')).toContain(
      '1 h 41 min of 24 hours.',
    )
    expect(await textOf('healthy', '', '#day-facts')).not.toContain('Measured since')
  })

  test('a budget of few events is a sentence', async () => {
    expect(await textOf('first minutes', '', '.card:nth-child(2) .left')).toBe(
      '6 counted (photos); none may be bad before there are 100',
    )
    expect(await textOf('first minutes without events', '', '.card:nth-child(2) .left')).toBe(
      'no photos counted yet',
    )
    expect(await textOf('healthy', '', '.card:nth-child(2) .left')).toBe(
      '86 left of 86 that may be bad (photos)',
    )
  })

  test('the cause of a verdict leads to its runbook', async () => {
    shown = 'burning'
    await open('', 'en', 1024)
    const runbook = await page.getAttribute('#verdict .notice a', 'href')
    expect(runbook).toBe('docs/runbooks/cause-cpu.md?lang=en')
  })

  test('each key of an example leads to the log server that this browser reaches', async () => {
    shown = 'burning'
    await open('', 'en', 1024)
    const links = await page
      .locator('#verdict li a')
      .evaluateAll(all => all.map(each => each.getAttribute('href')))
    expect(links).toContain('http://logs/?key=a%26c4&lang=en')
  })

  test('of what was not measured yet nothing is claimed', async () => {
    expect(await textOf('before the first journey', 'status', '#lead')).toBe(
      'Online 23 of every 24 hours: nothing to count. The thumbnail in time: 100% of 8,640 photos.',
    )
    expect(await textOf('silent', 'status', '#lead')).toMatch(/in time: no data since 10:50\.$/)
    expect(await textOf('silent', '', '.card:nth-child(3)')).toContain('no data since 10:50')
    expect(await page.getAttribute('.card:nth-child(3)', 'data-state')).toBe('none')
    // What was overspent before is overspent until its window has passed.
    expect(await page.getAttribute('.card:nth-child(2)', 'data-state')).toBe('broken')
    expect(await textOf('burning', 'status', '#lead')).toMatch(/^Offline\. In the last 24 hours 19 minutes/)
    expect(await textOf('a calendar month', 'status', '#lead')).toMatch(
      /^Offline\. Since 2026-11-01 00:00 19 minutes/,
    )
  })

  test('of several objectives about minutes the one that is offline is told, on both pages', async () => {
    for (const path of ['', 'status'])
      expect(await textOf('ten objectives', path, '#state'), path).toBe('offline')
    expect(await page.textContent('#hours h2')).toContain('/v9/')
    expect(await page.locator('.incidents li').allTextContents()).toContain(
      'Requests of the route /v9/photos answered without an error: offline since 12:16, 14 min',
    )
  })

  test('a minute without an event is no incident, and no lack of data', async () => {
    expect(await textOf('only events', 'status', '#incidents')).toBe('22:30 to 22:32: some bad for 2 min')
    expect(await page.textContent('#legend')).toBe('all goodsome badnone counted')
  })

  test('times below a chart do not touch on the narrowest screen', async () => {
    shown = 'healthy'
    await open('', 'en', 240)
    const gaps = await page.locator('.ticks').evaluateAll(all =>
      all.flatMap(({ children }) => {
        const [first, next] = [...children]
          .map(each => each.getBoundingClientRect())
          .filter(({ width }) => width)
        return first && next ? next.left - first.right : []
      }),
    )
    expect(gaps.length).toBe(2)
    expect(Math.min(...gaps)).toBeGreaterThan(4)
  })

  test('an address with a part of the day that is none shows the whole day', async () => {
    shown = 'healthy'
    problems = []
    await page.goto(`${address}/?hours=many&lang=en`)
    await page.waitForSelector('html[data-ready]')
    expect(await page.textContent('#zoom [aria-pressed="true"]')).toBe('24 h')
    expect(await page.getAttribute('.strip', 'viewBox')).toBe('0 0 1440 10')
    expect(problems).toEqual([])
  })

  test('downtime is announced on both pages, and one that is over for a day is shown no more', async () => {
    for (const path of ['', 'status'])
      expect(await textOf('healthy', path, '#planned tbody')).toBe('2026-11-27 00:1000:55a new disk')
    expect(await textOf('burning', 'status', '#planned tbody')).toBe('')
    expect(await page.isHidden('#planned-section')).toBe(true)
  })

  test('a question that slo does not answer is said to have no answer', async () => {
    shown = 'healthy'
    await open('', 'en', 1024)
    await page.route('**/api/fits?*', route => route.fulfill({ status: 502 }))
    await page.click('#fits button')
    await page.waitForSelector('#fits-answer:has-text("slo does not answer")')
    // As a proxy does that asks to sign in.
    await page.route('**/api/fits?*', route =>
      route.fulfill({ status: 302, headers: { Location: '/login' } }),
    )
    await page.click('#fits button')
    await page.waitForSelector('#fits-answer:has-text("You are not signed in")')
    await page.unroute('**/api/fits?*')
    await page.click('#verdict button')
    await page.waitForSelector('#verdict output:has-text("slo does not answer")')
    // As slo answers without an objective of minutes.
    await page.click('#fits button')
    await page.waitForSelector('#fits-answer:has-text("There is no budget in minutes yet.")')
    expect(problems.filter(each => !/404|502/.test(each))).toEqual([])
  })

  test('a question that slo refuses is answered with its reason, a wrong time with the right form', async () => {
    shown = 'healthy'
    await open('', 'en', 1024)
    let refusal = { status: 503, json: { detail: 'Too much was asked for.' } }
    await page.route('**/api/fits?*', route => route.fulfill(refusal))
    await page.click('#fits button')
    await page.locator('#fits-answer').getByText('Too much was asked for.').waitFor()
    refusal = { status: 400, json: { detail: 'minutes must be 1 to 1440' } }
    await page.click('#fits button')
    await page.locator('#fits-answer').getByText('Write a time to come as “tomorrow 02:00”').waitFor()
    // In the page's language, and not as slo words it.
    refusal = { status: 404, json: { detail: '-' } }
    await page.click('#fits button')
    await page.locator('#fits-answer').getByText('There is no budget in minutes yet.').waitFor()
    await page.unroute('**/api/fits?*')
  })

  test('of one event nothing is said in the plural', async () => {
    const one = { good: 1, bad: 0, budget: 0.01, budgetLeft: 0.01 }
    const first = structuredClone(pageStates['first minutes']) as State
    Object.assign(first.objectives[1] as object, one)
    await page.route('**/api/state', route => route.fulfill({ json: first }))
    const left = await textOf('first minutes', '', '.card:nth-child(2) .left')
    const lead = await textOf('first minutes', 'status', '#lead')
    await page.unroute('**/api/state')
    expect(left).toBe('1 counted (photos); none may be bad before there are 100')
    expect(lead).toContain('100%, of one that is counted so far (photos).')
  })

  test('a button keeps the focus while slo works on its answer, which is read out in one sentence', async () => {
    shown = 'healthy'
    await open('', 'en', 1024)
    await page.route('**/api/diagnosis', async route => {
      shown = 'burning'
      await route.fulfill({ status: 204 })
    })
    await page.focus('#verdict button')
    await page.keyboard.press('Enter')
    await page.waitForSelector('#verdict :focus:has-text("Diagnose again")')
    await page.unroute('**/api/diagnosis')
    const live = page.locator('#verdict').locator('output, [role=status], [aria-live]')
    expect(await live.allTextContents()).toEqual(['', 'Slow in convert, because of cpu.'])
  })

  test('an earlier question does not overwrite the answer to a later one', async () => {
    shown = 'healthy'
    await open('', 'en', 1024)
    const first = Promise.withResolvers<void>()
    await page.route('**/api/fits?*', async route => {
      const isFirst = route.request().url().includes('minutes=45')
      if (isFirst) await first.promise
      await route.fulfill({ json: { fits: true, leftAfter: isFirst ? 1 : 2 } })
    })
    await page.click('#fits button')
    await page.fill('#fits [name=minutes]', '46')
    await page.click('#fits button')
    const answer = page.locator('#fits-answer')
    await answer.getByText('Yes: 2 min of the budget would be left.').waitFor()
    const late = page.waitForResponse(response => response.url().includes('minutes=45'))
    first.resolve()
    await (await late).finished()
    await page.evaluate('fetch("pages.json").then(response => response.text())')
    await page.unroute('**/api/fits?*')
    expect(await answer.textContent()).toBe('Yes: 2 min of the budget would be left.')
  })

  test('the other language shows what the page shows now, also after its address changed', async () => {
    shown = 'healthy'
    await open('', 'en', 1024)
    await page.click('#zoom button:nth-child(2)')
    await page.fill('#whatif input', 'late 20% 30m')
    await page.press('#whatif input', 'Enter')
    await page.click('.foot a[hreflang]')
    await page.waitForSelector('html[lang=ko][data-ready]')
    expect(await page.textContent('#zoom [aria-pressed="true"]')).toBe('6시간')
    expect(await page.inputValue('#whatif input')).toBe('late 20% 30m')
  })

  test('what a budget and its burn rates mean is read without a mouse', async () => {
    shown = 'healthy'
    await open('', 'en', 1024)
    const card = page.locator('.card').first()
    await card.locator('summary').focus()
    await page.keyboard.press('Enter')
    await card.getByText('What is promised, in a sentence.').waitFor()
    await card.getByText(/^page-fast: fires when the last 15 and the last 2 minutes/).waitFor()
  })

  test('what scrolls sideways on a screen is whole on paper', async () => {
    shown = 'burning'
    await open('', 'en', 1024)
    await page.click('#zoom button:nth-child(3)')
    const width = () => page.locator('.strips').evaluate(each => each.getBoundingClientRect().width)
    expect(await width()).toBeGreaterThan(10_000)
    await page.emulateMedia({ media: 'print' })
    const printed = await width()
    const overflows = await page.evaluate<string[]>(
      '[...document.querySelectorAll(".wide")].map(each => getComputedStyle(each).overflowX)',
    )
    await page.emulateMedia({ media: 'screen' })
    expect(printed).toBeLessThan(1_024)
    expect(new Set(overflows)).toEqual(new Set(['visible']))
  })

  test('selected text stays while the state is read again and is the same', async () => {
    shown = 'burning'
    const tab = await browser.newPage({ locale: 'en' })
    await tab.clock.install()
    for (const [path, selector] of [
      ['', '.card h2'],
      ['status', '#incidents li'],
    ] as const) {
      await tab.goto(`${address}/${path}`)
      await tab.waitForSelector('html[data-ready]')
      await tab.evaluate('for (const fold of document.querySelectorAll("details")) fold.open = true')
      await tab.evaluate(`getSelection().selectAllChildren(document.querySelector('${selector}'))`)
      const read = tab.waitForResponse('**/api/state')
      await tab.clock.runFor(16_000)
      await (await read).finished()
      await tab.evaluate('fetch("pages.json").then(response => response.text())')
      expect(await tab.evaluate('getSelection().toString()'), path).toBe(await tab.textContent(selector))
    }
    await tab.close()
  })

  test('a tab that is seen again is read again at once, and one that is not seen is not', async () => {
    shown = 'healthy'
    const tab = await browser.newPage({ locale: 'en' })
    await tab.clock.install()
    await tab.goto(address)
    await tab.waitForSelector('html[data-ready]')
    // Its timers run once more, of which one reads the state, and then no longer.
    const read = tab.waitForResponse('**/api/state')
    await tab.clock.pauseAt(Date.now() + 3_600_000)
    await (await read).finished()
    const show = (isShown: boolean) =>
      tab.evaluate(`{
        Object.defineProperty(document, 'hidden', { value: ${!isShown}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }`)
    await show(false)
    shown = 'broken'
    await tab.evaluate('fetch("pages.json").then(response => response.text())')
    expect(await tab.textContent('#lead')).toBe('Both objectives are met.')
    // Again, because a page that still draws what it read last reads nothing.
    await until(async () => {
      await show(true)
      return (await tab.textContent('#lead'))?.includes('Broken:')
    })
    await tab.close()
  })

  test('a new row moves neither the focus nor what was scrolled', async () => {
    shown = 'burning'
    const alerts = pageStates.burning?.objectives[0]?.alerts ?? []
    const tab = await browser.newPage({ locale: 'en', viewport: { width: 320, height: 700 } })
    await tab.clock.install()
    await tab.goto(address)
    await tab.waitForSelector('html[data-ready]')
    const link = tab.locator('#alerts a').nth(1)
    await link.focus()
    const focused = await link.textContent()
    const places = '[scrollY, document.querySelector("#alerts .wide").scrollLeft]'
    await tab.evaluate('scrollTo(0, 0); document.querySelector("#alerts .wide").scrollLeft = 60')
    const before = await tab.evaluate<number[]>(places)
    expect(before[1]).toBeGreaterThan(0)
    alerts.unshift({
      tier: 'ticket-fast',
      fires: '2026-11-25T13:00:00Z',
      clears: null,
      budgetUsedAtFire: 0.1,
    })
    await tab.clock.runFor(16_000)
    await tab.locator('#alerts').getByText('ticket-fast').first().waitFor()
    alerts.shift()
    expect(await tab.locator('#alerts :focus').textContent()).toBe(focused)
    expect(await tab.evaluate(places)).toEqual(before)
    await tab.close()
  })

  test('of a young service the stages fill the width, and a value without neighbours is a point', async () => {
    shown = 'first minutes'
    const now = 1_800_000_000
    const lane = [null, 0.2, 0.4, null, 0.1, null]
    const young = {
      times: lane.map((_, i) => now + 30 * i),
      stages: [{ stage: 'receive', p50: lane, p95: lane, p99: lane, share: 1, count: 9 }],
    }
    await page.route('**/api/stages', route => route.fulfill({ json: young }))
    await open('', 'en', 1024)
    await page.unroute('**/api/stages')
    const chart = page.locator('#stages svg')
    expect(await chart.getAttribute('viewBox')).toBe('0 0 3 10')
    expect(await chart.locator('.p50').getAttribute('d')).toBe('M0 5.15h0L1 0.50h0M3 7.48h0')
    expect(await chart.locator('title').allTextContents()).toContain('08:01 · p99 – · p95 – · p50 –')
    expect(await page.locator('#stages .ticks span').allTextContents()).toEqual(['08:00', '08:02'])
  })

  test('a time that is days away has its date', async () => {
    expect(await textOf('a month', '', '.card')).toContain('gone at 2026-12-')
    expect(await textOf('a month', '', '#alerts td a')).toBe('2026-11-24 10:30')
  })

  test('a second click while slo works on its answer asks nothing', async () => {
    shown = 'burning'
    await open('', 'en', 1024)
    let asked = 0
    const answered = Promise.withResolvers<void>()
    await page.route('**/api/diagnosis', async route => {
      asked++
      await answered.promise
      await route.fulfill({ status: 204 })
    })
    await page.getByRole('button', { name: 'Diagnose again' }).dblclick()
    await page.locator('#verdict-outcome').getByText('Working').waitFor()
    answered.resolve()
    await page.locator('#verdict-outcome').getByText('Working').waitFor({ state: 'hidden' })
    await page.unroute('**/api/diagnosis')
    expect(asked).toBe(1)
  })

  test('objectives are called as the directory calls them, also when slo answers only later', async () => {
    shown = 'healthy'
    const tab = await browser.newPage({ locale: 'en' })
    await tab.clock.install()
    await tab.route('**/api/state', route => route.fulfill({ status: 502, body: 'Bad gateway' }))
    await tab.goto(address)
    await tab.locator('#lead').getByText('slo does not answer.').waitFor()
    await tab.unroute('**/api/state')
    await tab.clock.runFor(16_000)
    await expect.poll(() => tab.title()).toBe('Tintype: Promises')
    await tab.locator('nav').getByText('Promises').waitFor()
    await tab.close()
    expect(await textOf('healthy', '', 'nav')).toBe('StatusPromisesLogs')
    expect(await textOf('healthy', '', 'title')).toBe('Tintype: Promises')
  })
})
