import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { barriers } from './accessible.ts'
import { launchBrowser } from './browser.ts'
import { type Person, person } from './client.ts'
import { startTintype } from './service.ts'
import { describeWithParts, runScript, temporaryFolder, until } from './support.ts'

/** The logs of a real upload: one day out of all services, detail on request, nothing personal. */

type Entry = {
  id: string
  session: string | null
  timestamp: string
  payload: Record<string, unknown> & { event: string }
}

const dataDir = await temporaryFolder(afterAll)
const tintype = await startTintype(dataDir, { PROBE_TOKEN: 'planted-probe-token', SCRAPE_SECONDS: '5' })
afterAll(() => tintype.stop())

const logs = async (...args: string[]) => {
  const { out } = await runScript('services/logs/main.ts', [...args, '--json'], { DATA_DIR: dataDir })
  return JSON.parse(out)
}

const storyOf = async (photo: string): Promise<Entry[]> => {
  const answer = await fetch(`${tintype.endpoints.logs}/timeline.json?key=${photo}`)
  return answer.ok ? ((await answer.json()) as { entries: Entry[] }).entries : []
}

/** The photo's entries once the last ones of web and converter are among them: each ships its own. */
const whole = (photo: string) =>
  until(
    async () => {
      const entries = await storyOf(photo)
      const events = entries.map(({ payload }) => payload.event)
      return ['photo.accepted', 'promise.kept'].every(each => events.includes(each)) && entries
    },
    { what: `the promise of ${photo} in the logs` },
  )

const service = ({ id }: Entry) => id.split('.')[0]

/** As a phone makes it: its EXIF has the place and the author. */
const phonePhoto = () =>
  sharp({ create: { width: 640, height: 480, channels: 3, background: '#7a6a5a' } })
    .withExif({
      IFD0: { Artist: 'planted artist', ImageDescription: 'planted description' },
      IFD3: {
        GPSLatitude: '52/1 31/1 12345678/1000000',
        GPSLatitudeRef: 'N',
        GPSLongitude: '13/1 24/1 5678/100',
        GPSLongitudeRef: 'E',
      },
    })
    .jpeg()
    .toBuffer()

async function upload(someone: Person): Promise<string> {
  const form = new FormData()
  form.set('photo', new File([await phonePhoto()], 'planted-name.jpg', { type: 'image/jpeg' }))
  const response = await someone.upload(form, {
    'Idempotency-Key': `planted-key-${crypto.randomUUID()}`,
    Prefer: 'wait=60',
  })
  expect(response.status).toBe(201)
  return ((await response.json()) as { id: string }).id
}

const raise = (change: Record<string, unknown>) =>
  Promise.all(
    ['webAdmin', 'converterAdmin'].map(admin =>
      fetch(`${tintype.endpoints[admin]}/log-level`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(change),
      }),
    ),
  )

const raised = async () => {
  const response = await fetch(`${tintype.endpoints.webAdmin}/log-level`)
  return ((await response.json()) as { raised: unknown[] }).raised
}

const details = ['session.looked-up', 'storage.called', 'conversion.detail']

test('one photo’s entries come from web and converter, with one session and one trace, in order', async () => {
  const photo = await upload(person(tintype.address))
  const entries = await whole(photo)
  const printed = ((await logs('timeline', '--session', photo)).entries as Entry[]).map(({ id }) => id)
  expect(printed).toEqual(expect.arrayContaining(entries.map(({ id }) => id)))
  expect(new Set(entries.map(service))).toEqual(new Set(['web', 'converter']))
  expect(entries.map(({ payload }) => payload.event)).toEqual(
    expect.arrayContaining(['photo.accepted', 'conversion.attempted', 'photo.ready', 'promise.kept']),
  )
  expect(new Set(entries.map(({ session }) => session)).size).toBe(1)
  expect(new Set(entries.map(({ payload }) => payload.trace)).size).toBe(1)
  expect(entries.map(({ timestamp }) => timestamp)).toEqual(entries.map(({ timestamp }) => timestamp).sort())
})

test('detail raised for one session appears in every service for that session only, and falls back', async () => {
  const [watched, past, other] = [0, 1, 2].map(() => person(tintype.address)) as [Person, Person, Person]
  const sessionOf = async (someone: Person) => (await whole(await upload(someone)))[0]?.session ?? ''
  const [session, pastSession] = [await sessionOf(watched), await sessionOf(past)]
  const shownOf = async (key: string) =>
    (await storyOf(key)).filter(({ payload }) => details.includes(payload.event))
  await raise({ level: 'debug', session: pastSession, forSeconds: 1 })
  await upload(past)
  await until(async () => (await raised()).length === 0)
  const after = await whole(await upload(past))
  const end = after.find(({ payload }) => payload.event === 'photo.accepted')?.timestamp ?? ''
  expect((await shownOf(pastSession)).filter(({ timestamp }) => timestamp > end)).toEqual([])

  await raise({ level: 'debug', session, forSeconds: 60 })
  const photos = [await upload(watched), await upload(other)]
  const [seen = [], others = []] = await Promise.all(photos.map(whole))
  const shown = await shownOf(session)
  expect(new Set(shown.map(({ payload }) => payload.event))).toEqual(new Set(details))
  expect(new Set(shown.map(service))).toEqual(new Set(['web', 'converter']))
  expect(seen.some(({ payload }) => payload.event === 'conversion.detail')).toBe(true)
  expect(others.filter(({ payload }) => details.includes(payload.event))).toEqual([])
})

test('a published day is whole, and holds nothing personal and no secret', async () => {
  const someone = person(tintype.address)
  const photo = await upload(someone)
  const [first] = await whole(photo)
  await raise({ level: 'debug', forSeconds: 60 })
  await someone.request(`/photos/${photo}/original`)
  await someone.request(`/photos/${photo}`, { method: 'DELETE' })
  await someone.request('/photos?planted=query', {
    headers: { 'User-Agent': 'planted agent', Referer: 'http://planted/' },
  })
  await until(async () => (await storyOf(photo)).some(({ payload }) => payload.event === 'photo.deleted'))
  const day = first?.timestamp.slice(0, 10) ?? ''
  const { revision, entries } = await logs('publish', '--day', day)
  const file = join(dataDir, 'logs', 'days', `${day}.r${revision}.ndjson`)
  const text = readFileSync(file, 'utf8')
  expect(text.split('\n').length - 1).toBe(entries)
  const secrets = ['ingest_token', 'session_secret'].map(name =>
    readFileSync(join(dataDir, 'secrets', name), 'utf8').trim(),
  )
  const cookie = decodeURIComponent(someone.cookie?.replace('tintype_session=', '') ?? '')
  for (const planted of [
    'planted',
    ...secrets,
    cookie,
    cookie.split('.')[0] ?? cookie,
    '12345678/1000000',
    '12.345678',
    'GPS',
  ])
    expect(text.includes(planted), planted).toBe(false)
  const verdicts = await logs('verify', '--day', day)
  expect(verdicts).toMatchObject([{ faults: [], missing: [] }])
})

describeWithParts('the timeline page', ['chromium'], () => {
  test('shows one photo’s journey: its stages as bars, its entries as marks and in words', async () => {
    const photo = await upload(person(tintype.address))
    await whole(photo)
    const browser = await launchBrowser({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
    onTestFinished(() => browser.close())
    const page = await browser.newPage({ locale: 'en', viewport: { width: 320, height: 700 } })
    // As the iPhones have it that stay at iOS 16.
    await page.addInitScript('delete Object.groupBy; delete Map.groupBy; delete Promise.withResolvers')
    const problems: string[] = []
    page.on('pageerror', error => problems.push(String(error)))
    page.on('console', message => message.type() === 'error' && problems.push(message.text()))
    await page.goto(tintype.endpoints.logs as string)
    const [{ session = '' } = {}] = await whole(photo)
    // A newcomer has no key: the newest sessions are listed, complete the search field, and link to their photos.
    await page.getByText(/^\d+ photos? since (\d\d-\d\d )?\d\d:\d\d:\d\d\./).waitFor()
    expect(await page.locator('nav a').allTextContents()).toEqual(['Upload', 'Status', 'Promises', 'Logs'])
    expect(await page.locator(`#keys option[value="${session}"]`).count()).toBe(1)
    await page.getByText(/^Today so far /).waitFor()
    expect(await barriers(page), 'without a search').toEqual([])
    // Its counts change each few seconds: a screen reader would read them out again and again.
    expect(await page.getByRole('status').count()).toBe(0)
    await page
      .getByRole('link', { name: session as string })
      .first()
      .click()
    await page.locator('#tools').getByRole('link', { name: photo }).waitFor()
    expect(await barriers(page), 'a session').toEqual([])
    // Another shipper's entry may have no level.
    const odd = { id: 'odd.x.1.1', session: 'abcdefabcdef1234', timestamp: new Date().toISOString() }
    await fetch(`${tintype.endpoints.logs}/streams/odd.x.1`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${readFileSync(join(dataDir, 'secrets', 'ingest_token'), 'utf8').trim()}`,
      },
      body: `${JSON.stringify({ ...odd, payload: { event: { a: 1 }, level: null } })}\n`,
    })
    await page.goto(`${tintype.endpoints.logs}/?key=${odd.session}`)
    await page.locator('#entries').getByText('{"a":1}').first().waitFor()
    // A search without a match is no dead end.
    await page.goto(`${tintype.endpoints.logs}/?key=nothing00`)
    await page.getByText('No entry names nothing00.').waitFor()
    await page
      .locator('#recent')
      .getByRole('link', { name: session as string })
      .first()
      .waitFor()
    expect(await barriers(page), 'no match').toEqual([])
    await page.setViewportSize({ width: 1024, height: 800 })
    // Copied together with its whole line.
    await page.fill('#ask input', '')
    await page.locator('#ask input').focus()
    await page.keyboard.insertText(
      `${'at open (files.ts:1:2) '.repeat(20)} "photo":"${photo.toUpperCase()}",`,
    )
    await page.press('#ask input', 'Enter')
    await page.waitForSelector('#chart .lanes')
    expect(new URL(page.url()).searchParams.get('key')).toBe(photo)
    await page.getByRole('status').getByText('of 2 processes').waitFor()
    const stages = await page
      .locator('#chart .bar')
      .evaluateAll(bars => bars.map(bar => bar.getAttribute('data-stage')))
    expect(stages.sort()).toEqual(['convert', 'receive', 'store', 'wait'])
    const [marks, entries] = [page.locator('#chart .mark'), page.locator('#entries details')]
    expect(await marks.count()).toBe(await entries.count())
    await page.locator('#chart .mark[title$="photo.accepted"]').click()
    const accepted = entries.filter({ hasText: 'photo.accepted' })
    expect(await accepted.locator('pre').isVisible()).toBe(true)
    await page.setViewportSize({ width: 320, height: 700 })
    expect(await barriers(page), 'an open entry').toEqual([])
    await page.setViewportSize({ width: 1024, height: 800 })
    // A line can be selected to be copied.
    const line = entries.nth(1).locator('summary')
    await line.locator('time').dragTo(line.locator('strong'))
    expect(await page.evaluate('getSelection().toString()')).toContain('.')
    expect(await entries.nth(1).locator('pre').isVisible()).toBe(false)
    await page.fill('#ask input', 'Photo 1')
    await page.press('#ask input', 'Enter')
    await page.getByText('photo 1 is no session, photo or trace').waitFor()
    // The page before comes back from the browser's cache as it was left: with the next search in its field.
    await page.goBack({ waitUntil: 'commit' })
    await page.waitForSelector('#chart .lanes')
    await until(async () => (await page.inputValue('#ask input')) === photo, { what: 'the search' })
    await page.goForward({ waitUntil: 'commit' })
    expect(problems).toEqual([])
    // A page may stay open past midnight.
    let sizings = 0
    page.on('request', request => request.url().endsWith('/sizing.json') && sizings++)
    await page.clock.install()
    await page.reload()
    await until(
      async () => {
        await page.clock.runFor(60_000)
        return sizings >= 2
      },
      { what: 'the sizes read again' },
    )
    // After midnight the newest sessions may be of the day before.
    await page.route('**/recent.json', async route => {
      const response = await route.fetch()
      const { fromMs, ...rest } = (await response.json()) as { fromMs: number }
      await route.fulfill({ response, json: { ...rest, fromMs: fromMs - 86_400_000 } })
    })
    await page.goto(tintype.endpoints.logs as string)
    await page.getByText(/ since \d\d-\d\d \d\d:\d\d:\d\d\./).waitFor()
    await page.unroute('**/recent.json')
    // A slow log server is not asked again while it looks.
    let looks = 0
    await page.route('**/recent.json', () => void looks++)
    await page.goto(tintype.endpoints.logs as string)
    await page.clock.runFor(35_000)
    await page.unroute('**/recent.json')
    expect(looks).toBe(1)
    // The page distinguishes a log server that is away, a proxy that answers for it, and one that asks to sign in.
    await page.route('**/recent.json', route => route.abort())
    await page.goto(tintype.endpoints.logs as string)
    await page.locator('#lead').getByText('The log server does not answer.').waitFor()
    await page.unroute('**/recent.json')
    await page.route('**/recent.json', route => route.fulfill({ status: 401 }))
    await page.reload()
    await page.locator('#lead').getByText('You are not signed in').waitFor()
    await page.unroute('**/recent.json')
    await page.route('**/recent.json', route => route.fulfill({ body: '<h1>Sign in</h1>' }))
    await page.reload()
    await page.locator('#lead').getByText('The log server does not answer.').waitFor()
    await page.unroute('**/recent.json')
    await page.route('**/recent.json', route => route.fulfill({ status: 502, body: '<h1>Bad gateway</h1>' }))
    await page.reload()
    await page.locator('#lead').getByText('The log server answered with an error: HTTP 502').waitFor()
    await page.goto(`${tintype.endpoints.logs}/?lang=ko`)
    expect(await page.title()).toBe('Tintype: 로그')
  })
})
