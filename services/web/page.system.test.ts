import { once } from 'node:events'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formats } from '@tintype/lib/photo/record.ts'
import { openStorage, storageUrl } from '@tintype/lib/storage/index.ts'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { barriers } from '../../test/accessible.ts'
import { launchBrowser } from '../../test/browser.ts'
import { photo, quadrantImage } from '../../test/images.ts'
import { describeWithParts, type Started, startScript, until } from '../../test/support.ts'

/** With SHOTS=folder the pictures of the page are drawn there: `upload.png` is the one of README. */
const shots = process.env.SHOTS
/** Long enough for a busy machine, short enough to see a photo late. */
const promiseSeconds = shots ? 60 : 20

type File = { name: string; mimeType: string; buffer: Buffer }

describeWithParts('the upload page', ['chromium'], parts => {
  let web: Started
  let converter: Started
  let dataDir: string
  let browser: Browser
  let context: BrowserContext
  let page: Page
  let complaints: string[] = []
  let harbour: File
  let pines: File
  const elsewhere = 'photos.example.org'
  const args = ['--disable-background-networking', `--host-resolver-rules=MAP ${elsewhere} 127.0.0.1`]

  beforeAll(async () => {
    dataDir = await mkdtemp(`${tmpdir()}/tintype-page-`)
    const environment = { DATA_DIR: dataDir, PROMISE_SECONDS: `${promiseSeconds}`, CONVERTER_SLOTS: '1' }
    const any = {
      WEB_PORT: '0',
      WEB_ADMIN_PORT: '0',
      CONVERTER_ADMIN_PORT: '0',
      ...(!shots && { MAX_UPLOAD_BYTES: '2097152' }),
    }
    ;[web, converter, browser] = await Promise.all([
      startScript('services/web/main.ts', { ...environment, ...any }),
      startScript('services/converter/main.ts', { ...environment, ...any }),
      launchBrowser({ args }),
    ])
    harbour = { name: 'harbour.jpg', mimeType: 'image/jpeg', buffer: await photo(640, 480, 1) }
    pines = {
      name: 'pines.png',
      mimeType: 'image/png',
      buffer: await quadrantImage({ width: 300, height: 400, format: 'png' }),
    }
    // Motion, which no test looks at, takes a fifth of the browser's processor time.
    context = await browser.newContext({ locale: 'en-GB', reducedMotion: 'reduce' })
    page = await openTab(context)
  })

  afterAll(async () => {
    await browser?.close()
    await Promise.all([web?.stop(), converter?.stop()])
    await rm(dataDir, { recursive: true, force: true })
  })

  /** Another person comes, in the same tab: a context for each takes half a second of processor time. */
  beforeEach(async () => {
    // What the page there would still store is dropped.
    await page.evaluate('Storage.prototype.setItem = () => {}; localStorage.clear(); sessionStorage.clear()')
    await context.clearCookies()
    await page.setViewportSize({ width: 1024, height: 800 })
    await page.emulateMedia({ colorScheme: 'light' })
    complaints = []
    await page.goto(web.endpoints.web ?? '')
  })

  afterEach(async () => {
    await context.unrouteAll({ behavior: 'ignoreErrors' })
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    await context.setOffline(false)
    for (const tab of context.pages()) if (tab !== page) await tab.close()
    expect(complaints).toEqual([])
    expect(web.child.exitCode, web.stderr()).toBeNull()
  })

  /** A tab with the page in it; what the browser complains of (policy, script) fails the test. */
  async function openTab(on: BrowserContext): Promise<Page> {
    const tab = await on.newPage()
    // As the iPhones have it that stay at iOS 16.
    await tab.addInitScript('delete Promise.withResolvers')
    tab.on('pageerror', error => complaints.push(error.message))
    tab.on('console', message => {
      if (message.type() === 'error' && !message.text().includes('Failed to load resource'))
        complaints.push(message.text())
    })
    await tab.goto(web.endpoints.web ?? '')
    return tab
  }

  const row = (name: string, tab = page) => tab.locator('li.photo').filter({ hasText: name })
  const picture = (name: string, tab = page) => row(name, tab).locator('.open img')
  const says = (name: string, text: string | RegExp) => row(name).getByText(text).waitFor()
  const choose = (...files: File[]) => page.setInputFiles('#choose', files)
  const ready = (name: string) => picture(name).waitFor()

  /** Uploads of a page, or of a context's pages, are refused for load until the returned function is called. */
  async function refuse(of: Page | BrowserContext): Promise<() => void> {
    let isBusy = true
    await of.route('**/photos', route =>
      route.request().method() === 'POST' && isBusy
        ? route.fulfill({ status: 429, headers: { 'Retry-After': '5' } })
        : route.fallback(),
    )
    return () => {
      isBusy = false
    }
  }

  /** Hands files to the page as a drop or a paste does. */
  const hand = (kind: 'drop' | 'paste', { name, mimeType, buffer }: File) =>
    page.evaluate(`{
      const data = new DataTransfer()
      const bytes = Uint8Array.from(atob('${buffer.toString('base64')}'), each => each.charCodeAt(0))
      data.items.add(new File([bytes], '${name}', { type: '${mimeType}' }))
      const given = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data }
      document.body.dispatchEvent('${kind}' === 'drop' ? new DragEvent('drop', given) : new ClipboardEvent('paste', given))
    }`)

  test('an empty page says what to do and takes exactly the types that the service takes', async () => {
    await page.getByText('No photos yet.').waitFor()
    await page.getByText('up to 2 MB · ready within 20 s').waitFor()
    const accept = (await page.locator('#choose').getAttribute('accept'))?.split(',')
    const isHeic = (name: string) => /heic|heif|hif/.test(name)
    expect(accept?.filter(name => name.startsWith('image/') && !isHeic(name))).toEqual(
      formats.filter(format => !isHeic(format)).map(format => `image/${format}`),
    )
    expect(accept).toEqual(expect.arrayContaining(['image/heic', 'image/heif', '.heic']))
  })

  test('several photos chosen at once become pictures, and the time of each from click to picture is told', async () => {
    const told: { photo: string; seconds: number }[] = []
    page.on('request', request => {
      if (request.url().endsWith('/experience')) told.push(request.postDataJSON())
    })
    await choose(harbour, pines)
    await Promise.all([ready('harbour.jpg'), ready('pines.png')])
    await says('harbour.jpg', /^ready (in|after) [\d.]+ s/)
    await until(() => told.length === 2, { what: 'two experiences' })
    for (const { seconds } of told) expect(seconds).toBeGreaterThan(0)
    const counted = /tintype_stage_seconds_count\{[^}]*stage="experience"[^}]*\} 2\b/
    await until(async () => counted.test(await (await fetch(`${web.endpoints.webAdmin}/metrics`)).text()))
  })

  test('photos can be dropped anywhere and pasted', async () => {
    await hand('drop', harbour)
    await hand('paste', pines)
    await Promise.all([ready('harbour.jpg'), ready('pines.png')])
    // Some apps hand on a picture without a name.
    await hand('paste', { ...pines, name: '' })
    await ready('Photo of ')
  })

  test('the journey of a photo names its stages and the trace that the browser began', async () => {
    const posted = page.waitForRequest(
      request => request.method() === 'POST' && request.url().endsWith('/photos'),
    )
    await choose(harbour)
    const [, traceId = ''] = (await (await posted).headerValue('traceparent'))?.split('-') ?? []
    await ready('harbour.jpg')
    await page.getByRole('button', { name: 'harbour.jpg: show the time of each stage' }).click()
    const journey = row('harbour.jpg').locator('.journey')
    await journey.getByText(/^[\d.]+ s in all, the longest part of it /).waitFor()
    expect(await journey.locator('dt').allTextContents()).toEqual([
      'receive',
      'wait',
      'convert',
      'store',
      'deliver',
    ])
    for (const time of await journey.locator('dd').allTextContents()) expect(time).toMatch(/^[\d.]+ s$/)
    expect(traceId).toMatch(/^[0-9a-f]{32}$/)
    await journey.getByText(traceId).waitFor()
    const bar = await journey.locator('.bar').boundingBox()
    const last = await journey.locator('.segment').last().boundingBox()
    expect((last?.x ?? 0) + (last?.width ?? 0)).toBeCloseTo((bar?.x ?? 0) + (bar?.width ?? 0), 0)
  })

  test('what cannot be taken says why and what to do', async () => {
    const uploads: string[] = []
    page.on('request', request => request.method() === 'POST' && uploads.push(request.url()))
    await choose(
      { name: 'drawing.svg', mimeType: '', buffer: Buffer.from('<svg/>') },
      { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no photo') },
      { name: 'page.mhtml', mimeType: 'multipart/related', buffer: Buffer.from('From: <Saved by Blink>') },
    )
    await says('drawing.svg', 'Export it as PNG, then try again.')
    await says('notes.txt', /We take/)
    await says('page.mhtml', /We take/)
    const buffer = Buffer.alloc(2 ** 21 + 1)
    await choose(
      { name: 'huge.jpg', mimeType: 'image/jpeg', buffer },
      { name: 'film.mp4', mimeType: 'video/mp4', buffer },
    )
    await says('film.mp4', 'not a photo that can be taken. Choose JPEG')
    await says(
      'huge.jpg',
      'This photo has 2.1 MB; at most 2 MB can be taken. Export it smaller, then try again.',
    )
    expect(uploads).toHaveLength(3)
  })

  test('a network that answers everything with its login page counts as no connection, and not a proxy that does not reach web', async () => {
    await page.route('**/photos', route => route.fulfill({ status: 502, body: '<h1>Bad gateway</h1>' }))
    await page.reload()
    await page.getByText('Offline at the moment.').waitFor()
    const login = { contentType: 'text/html', body: '<h1>Please log in</h1>' }
    await page.route(/\/(photos|status\.json|pages\.json)$/, route => route.fulfill(login))
    await page.reload()
    await page.getByText('No connection.').waitFor()
    await choose(harbour)
    await says('harbour.jpg', /Could not be sent; trying again in/)
    await page.unrouteAll()
    await ready('harbour.jpg')
  })

  test('where a proxy no longer knows the person, or does not see web, the page says to sign in, and then goes on with the photo', async () => {
    const statuses = [404] // Traefik's while a container restarts
    await page.route('**/photos', route =>
      route.fulfill(
        route.request().method() === 'POST'
          ? { status: statuses.pop() ?? 401 }
          : { status: 302, headers: { Location: 'https://login.example.org/' } },
      ),
    )
    await choose(harbour)
    await page.getByText('You are not signed in at the proxy before this service.').waitFor()
    await says('harbour.jpg', /Could not be sent; trying again in/)
    await page.unrouteAll()
    await ready('harbour.jpg')
  })

  test('a refusal by a proxy, which knows no problems, is said in words, and a click sends the photo again', async () => {
    let status = 413
    await page.route('**/photos', route =>
      route.request().method() === 'POST'
        ? route.fulfill({ status: status++, contentType: 'text/html', body: '<h1>No</h1>' })
        : route.continue(),
    )
    await choose(harbour)
    await says('harbour.jpg', /takes no photo of this size/)
    await choose(pines)
    await says('pines.png', 'A proxy before this service refused the photo (HTTP 414).')
    await page.unrouteAll()
    await row('pines.png').getByRole('button', { name: 'Try again' }).click()
    await ready('pines.png')
  })

  test('a damaged photo ends with a reason, which is no broken promise', async () => {
    await choose({ ...harbour, name: 'torn.jpg', buffer: harbour.buffer.subarray(0, 2_000) })
    await row('torn.jpg').and(page.locator('[data-state="stopped"]')).waitFor()
    expect(await row('torn.jpg').locator('.text').textContent()).not.toBe('')
  })

  test('a photo that breaks off is shown as far as it goes, and said to be damaged', async () => {
    const { length } = harbour.buffer
    await choose({ ...harbour, name: 'half.jpg', buffer: harbour.buffer.subarray(0, length / 2) })
    await ready('half.jpg')
    await says('half.jpg', /^ready .* · The file is damaged/)
  })

  test('a reload and a second tab show the same photos, and a deletion reaches both', async () => {
    await choose(harbour, pines)
    await Promise.all([ready('harbour.jpg'), ready('pines.png')])
    await page.reload()
    await Promise.all([ready('harbour.jpg'), ready('pines.png')])
    const second = await openTab(context)
    await picture('harbour.jpg', second).waitFor()
    await row('harbour.jpg').getByRole('button', { name: 'Delete' }).click()
    await row('harbour.jpg').getByRole('button', { name: 'Really delete?' }).click()
    await row('harbour.jpg').waitFor({ state: 'detached' })
    await row('harbour.jpg', second).waitFor({ state: 'detached' })
    expect(await page.locator('li.photo').count()).toBe(1)
  })

  test('a minute that is over is said to be over, and the photo still comes', async () => {
    converter.child.kill('SIGSTOP')
    try {
      await choose(harbour)
      await says('harbour.jpg', new RegExp(`waiting · \\d+ s of ${promiseSeconds}`))
      await says('harbour.jpg', /later than promised; still working/)
      expect(await row('harbour.jpg').getAttribute('data-state')).toBe('late')
    } finally {
      converter.child.kill('SIGCONT')
    }
    await ready('harbour.jpg')
    await says('harbour.jpg', /^ready after .* later than promised$/)
  })

  test('refused for load, a photo waits as long as it was told and is sent again by itself', async () => {
    const accept = await refuse(page)
    await choose(harbour)
    await says('harbour.jpg', /Busy right now; trying again in [1-5] s/)
    accept()
    await ready('harbour.jpg')
  })

  test('a time to wait that no timer can measure ends after minutes, and not at once', async () => {
    await page.route('**/photos', route =>
      route.request().method() === 'POST'
        ? route.fulfill({ status: 429, headers: { 'Retry-After': '9999999999' } })
        : route.fallback(),
    )
    await choose(harbour)
    await says('harbour.jpg', /Busy right now; trying again in (600|[45]\d\d) s/)
  })

  test('a service that cannot store a photo, as on a full disk, or that a proxy does not reach, is not said to be busy', async () => {
    const bodies = ['<h1>No server is available</h1>', '{"type":"/problems/not-stored"}']
    await page.route('**/photos', route =>
      route.request().method() === 'POST'
        ? route.fulfill({ status: 503, body: bodies.pop() ?? '' })
        : route.fallback(),
    )
    await choose(harbour, pines)
    for (const name of ['harbour.jpg', 'pines.png'])
      await says(name, /Cannot be taken right now; trying again in \d s/)
  })

  test('the screen stays on while a photo is sent, because a phone that sleeps stops its uploads', async () => {
    await page.evaluate(`{
      globalThis.locks = 0
      navigator.wakeLock.request = async () => {
        locks++
        return { release: async () => void locks-- }
      }
    }`)
    const accept = await refuse(page)
    await choose(harbour)
    await says('harbour.jpg', /Busy right now/)
    expect(await page.evaluate('locks')).toBe(1)
    accept()
    await ready('harbour.jpg')
    await until(async () => (await page.evaluate('locks')) === 0, { what: 'the release' })
  })

  test('a lost connection is said, and the upload goes on when it is back, as one photo', async () => {
    await context.setOffline(true)
    await page.getByText('No connection.').waitFor()
    await choose(harbour)
    await says('harbour.jpg', /Could not be sent; trying again in/)
    await context.setOffline(false)
    await ready('harbour.jpg')
    await page.getByText('No connection.').waitFor({ state: 'hidden' })
    expect(await page.locator('li.photo').count()).toBe(1)
  })

  test('a request that fails after a later one was answered, as over a network that was left, is no lost connection', async () => {
    const tab = await context.newPage()
    const isLeft = Promise.withResolvers<void>()
    let reads = 0
    await tab.route('**/photos', async route => {
      if (reads++ > 0) return route.fallback()
      await isLeft.promise
      await route.abort()
    })
    await tab.goto(web.endpoints.web ?? '')
    await tab.getByText('No photos yet.').waitFor() // by the second read, at the opening of the stream
    const failed = tab.waitForEvent('requestfailed')
    isLeft.resolve()
    await failed
    await tab.evaluate('new Promise(resolve => setTimeout(resolve, 50))') // drawn by then
    expect(await tab.textContent('#state')).not.toContain('No connection.')
  })

  test('photos that the network does not pass hold up no others', async () => {
    await page.route('**/photos', route =>
      route.request().headers()['content-type'] === 'image/jpeg' ? route.abort() : route.fallback(),
    )
    await choose({ ...harbour, name: 'first.jpg' }, { ...harbour, name: 'second.jpg' }, pines)
    await ready('pines.png')
    await says('first.jpg', /Could not be sent; trying again in/)
    await page.unrouteAll()
    await Promise.all([ready('first.jpg'), ready('second.jpg')])
  })

  test('an upload that a reload cut off asks for its file, and is one photo even if it had arrived', async () => {
    // From the disk, and with another date when it is chosen again, as phones give it.
    const file = `${dataDir}/harbour.jpg`
    await writeFile(file, harbour.buffer)
    const arrived = Promise.withResolvers<void>()
    let answersAreLost = true
    await page.route('**/photos', async route => {
      if (route.request().method() !== 'POST' || !answersAreLost) return route.continue()
      // A browser keeps the bytes of a file from the disk to itself; the same request is sent in its stead.
      const headers = await route.request().allHeaders()
      await context.request.post(route.request().url(), { headers, data: harbour.buffer })
      arrived.resolve() // and the answer never comes back
    })
    await page.setInputFiles('#choose', file)
    await arrived.promise
    expect(await list()).toHaveLength(1)
    answersAreLost = false
    await page.reload()
    await says('harbour.jpg', 'The upload was interrupted. Choose this photo again to send it.')
    await utimes(file, 0, 0)
    await page.setInputFiles('#choose', file)
    await ready('harbour.jpg')
    expect(await list()).toHaveLength(1)
    expect(await page.locator('li.photo').count()).toBe(1)
  })

  test('a photo with the name and size of an interrupted upload that had arrived is accepted as another photo', async () => {
    const key = '1'.repeat(32)
    const kept = [{ key, name: 'image.jpg', size: harbour.buffer.length }]
    await page.locator('#empty').waitFor()
    // What the page would still store before it is reloaded is dropped.
    await page.evaluate(
      `sessionStorage.unsent = '${JSON.stringify(kept)}'; Storage.prototype.setItem = () => {}`,
    )
    await page.reload()
    await says('image.jpg', /^The upload was interrupted/)
    const headers = { 'Idempotency-Key': key, 'Content-Type': 'image/jpeg' }
    await context.request.post(`${web.endpoints.web}/photos`, { headers, data: harbour.buffer })
    const other = Buffer.from(harbour.buffer)
    other[other.length - 3] = (other.at(-3) ?? 0) ^ 1
    await choose({ ...harbour, name: 'image.jpg', buffer: other })
    await ready('image.jpg')
    expect(await list()).toHaveLength(2)
  })

  test('photos that were chosen before the scripts had loaded are sent', async () => {
    const held = Promise.withResolvers<void>()
    await page.route('**/page/main.ts', async route => {
      await held.promise
      await route.fallback()
    })
    await page.reload({ waitUntil: 'commit' })
    await page.locator('#camera').waitFor({ state: 'attached' })
    await choose(harbour)
    held.resolve()
    await ready('harbour.jpg')
  })

  test('a page of which a script does not arrive says that it must be loaded again', async () => {
    const shown = (tab: Page) =>
      tab.evaluate(`{
        for (const each of document.getAnimations()) each.finish()
        const { content, visibility } = getComputedStyle(document.querySelector('.masthead nav'), '::after')
        visibility + content
      }`)
    const tab = await context.newPage()
    await tab.route('**/rows.ts', route => route.abort())
    await tab.goto(web.endpoints.web ?? '')
    expect(await shown(tab)).toMatch(/^visible"If nothing works here, reload the page/)
    await tab.close()
    await page.getByText('No photos yet.').waitFor()
    expect(await shown(page)).toBe('visiblenone')
  })

  test('a button that a click does not focus, as in Safari, takes its question back, too', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    await page.evaluate('addEventListener("mousedown", event => event.preventDefault())')
    await row('harbour.jpg').getByRole('button', { name: 'Delete' }).click()
    await row('harbour.jpg').getByRole('button', { name: 'Really delete?' }).waitFor()
    await page.locator('#choose').focus()
    await row('harbour.jpg').getByRole('button', { name: 'Really delete?' }).waitFor({ state: 'hidden' })
  })

  test('a duplicate of a tab, which has a copy of its storage, calls no running upload interrupted', async () => {
    const accept = await refuse(context)
    await choose(harbour)
    await says('harbour.jpg', /Busy right now/)
    const opened = page.waitForEvent('popup')
    await page.evaluate('{ open(location.href) }')
    const duplicate = await opened
    expect(await duplicate.evaluate('sessionStorage.unsent')).toContain('harbour.jpg')
    await duplicate.getByText('No photos yet.').waitFor()
    expect(await duplicate.getByText('The upload was interrupted.').count()).toBe(0)
    accept()
    await ready('harbour.jpg')
    await duplicate.locator('li.photo').waitFor()
    expect(await duplicate.locator('li.photo').count()).toBe(1)
  })

  const list = async (): Promise<{ id: string; state: string }[]> => {
    const answer = await context.request.get(`${web.endpoints.web}/photos`)
    return (await answer.json()).photos
  }

  /** Holds the page's next lists as the server gave them, until they are let go and the page has them. */
  async function holdLists(): Promise<() => Promise<void>> {
    const held: (() => Promise<void>)[] = []
    await page.route('**/photos', async route => {
      if (route.request().method() !== 'GET') return route.fallback()
      const response = await route.fetch()
      held.push(() => route.fulfill({ response }))
    })
    await page.evaluate('dispatchEvent(new Event("online"))') // the page reads its list
    await until(() => held.length > 0, { what: 'a list that is held' })
    return async () => {
      await Promise.all(held.map(release => release()))
      await page.unroute('**/photos')
      await page.evaluate('new Promise(done => requestAnimationFrame(() => setTimeout(done)))')
    }
  }

  test('photos chosen after the cookies were cleared stay together: two first uploads at once began two sessions', async () => {
    await page.getByText('No photos yet.').waitFor()
    await context.clearCookies()
    // The open stream is that of the old session.
    const stream = page.waitForRequest('**/events')
    const names = ['one.jpg', 'two.jpg', 'three.jpg']
    await choose(...names.map(name => ({ ...harbour, name })))
    const accepted = (name: string) =>
      row(name)
        .getByRole('button', { name: /^Delete/ })
        .waitFor()
    await Promise.all([stream, ...names.map(accepted)])
    await page.reload()
    await Promise.all(names.map(ready))
  })

  test('after the cookies were cleared another tab opens the stream of the new session, too', async () => {
    const other = await openTab(context)
    await other.clock.install()
    await other.reload()
    await other.getByText('No photos yet.').waitFor()
    await context.clearCookies()
    await choose(harbour)
    await ready('harbour.jpg')
    const stream = other.waitForRequest('**/events')
    // It reads its list each minute.
    await other.clock.runFor(61_000)
    await stream
  })

  test('webs with different secrets, whose every answer has another session, cause no stream after stream, and the page names what its operator should look at', async () => {
    let [reads, streams] = [0, 0]
    // The page before could meet the other sessions, too, and would open a stream of its own.
    await page.goto('about:blank')
    page.on('request', request => request.url().endsWith('/events') && streams++)
    await page.route('**/photos', async route => {
      const response = await route.fetch()
      await route.fulfill({ response, headers: { ...response.headers(), 'tintype-session': `${reads++}` } })
    })
    const begun = performance.now()
    await page.goto(web.endpoints.web ?? '')
    await until(() => reads > 5)
    // The first one, one of another session, and one each 10 s.
    expect(streams).toBeLessThanOrEqual(2 + (performance.now() - begun) / 10_000)
    await page.locator('#state').getByText('SESSION_SECRET').waitFor()
  })

  test('a photo that is sent while nothing else is keeps the open stream', async () => {
    await page.getByText('No photos yet.').waitFor()
    let streams = 0
    page.on('request', request => request.url().endsWith('/events') && streams++)
    await choose(harbour)
    await ready('harbour.jpg')
    expect(streams).toBe(0)
  })

  test('a list read before a photo was accepted does not remove its row', async () => {
    const sent = Promise.withResolvers<void>()
    await page.route('**/photos', async route => {
      if (route.request().method() === 'POST') await sent.promise
      await route.fallback()
    })
    await choose(harbour)
    await row('harbour.jpg').waitFor()
    const release = await holdLists()
    sent.resolve()
    await ready('harbour.jpg')
    await release()
    expect(await picture('harbour.jpg').isVisible()).toBe(true)
  })

  test('a list read before a photo was deleted does not bring its row back', async () => {
    await choose(harbour, pines)
    await Promise.all([ready('harbour.jpg'), ready('pines.png')])
    const [photo] = (await list()) as { id: string }[]
    const release = await holdLists()
    await context.request.delete(`${web.endpoints.web}/photos/${photo?.id}`)
    await release()
    await until(async () => (await page.locator('li.photo').count()) === 1, { what: 'one row' })
  })

  test('more photos of another tab than a list holds can be reached by “older”', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    expect(await page.locator('#older').isVisible()).toBe(false)
    await page.route('**/photos', async route => {
      const [photo] = (await list()) as object[]
      const id = '0'.repeat(26) // newer than those that are shown
      await route.fulfill({ json: { photos: [{ ...photo, id }], next: `/photos?after=${id}` } })
    })
    await page.evaluate('dispatchEvent(new Event("online"))')
    await page.locator('#older').waitFor()
    expect(await page.locator('li.photo').count()).toBe(2)
    await page.route('**/photos?after=*', async route => {
      const [photo] = (await list()) as object[]
      await route.fulfill({ json: { photos: [{ ...photo, id: 'z'.repeat(26) }], next: null } })
    })
    await page.locator('#older').press('Enter')
    await page.locator('#older').waitFor({ state: 'hidden' })
    // The keyboard keeps its place although the button is gone.
    expect(await page.evaluate('document.activeElement.closest("li").nextElementSibling')).toBeNull()
  })

  test('a part of the list in which every photo was just deleted removes no others', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    const [photo] = (await list()) as object[]
    // An unfinished photo further down, to which the page reads on.
    const unfinished = { ...photo, id: 'z'.repeat(26), state: 'queued' }
    const parts: Record<string, object> = {
      '/photos': { photos: [photo, unfinished], next: null },
      '/photos?after=2': { photos: [unfinished], next: null },
      '/photos?after=1': { photos: [], next: '/photos?after=2' },
    }
    await page.route(/\/photos(\?after=\d)?$/, route => {
      const { pathname, search } = new URL(route.request().url())
      return route.fulfill({ json: parts[pathname + search] })
    })
    const readOn = () => page.evaluate('dispatchEvent(new Event("online"))')
    await readOn()
    await until(async () => (await page.locator('li.photo').count()) === 2)
    parts['/photos'] = { photos: [photo], next: '/photos?after=1' }
    const end = page.waitForResponse('**/photos?after=2')
    await readOn()
    await end
    await page.evaluate('new Promise(done => requestAnimationFrame(() => setTimeout(done)))')
    expect(await page.locator('li.photo').count()).toBe(2)
  })

  test('a ready photo names the time that its promise counts, which begins before the photo is stored', async () => {
    const photo = { id: '1', state: 'ready', kept: false, stages: { wait: 50, convert: 2 }, seconds: 61 }
    await page.route('**/photos', route => route.fulfill({ json: { photos: [photo], next: null } }))
    await page.reload()
    await page.getByText(/^ready after (1 min 1|61) s: later than promised/).waitFor()
  })

  test('older photos that cannot be read are said not to be, and a click tries again', async () => {
    const photo = { state: 'ready', acceptedAt: new Date(), promiseBy: new Date(), kept: true, stages: {} }
    await page.route('**/photos', route =>
      route.fulfill({ json: { photos: [{ id: '1', ...photo }], next: '/photos?after=1' } }),
    )
    let status = 503
    await page.route('**/photos?after=1', route => {
      route.fulfill({ status, json: { photos: [{ id: '2', ...photo }], next: '/photos?after=1' } })
      status = 200
    })
    await page.reload()
    const older = page.locator('#older')
    await older.getByText('Show older photos').click()
    await older.getByText('Older photos could not be read; try again.').click()
    await older.getByText('Show older photos').waitFor()
    expect(await page.locator('li.photo').count()).toBe(2)
  })

  test('a photo further down that became ready while the tab was hidden is shown as ready', async () => {
    await page.getByText('No photos yet.').waitFor()
    const hide = (hidden: boolean) =>
      page.evaluate(`{
        Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }`)
    converter.child.kill('SIGSTOP')
    try {
      await choose(harbour)
      await says('harbour.jpg', /^waiting/)
      await choose(pines)
      await says('pines.png', /^waiting/)
      await hide(true)
    } finally {
      converter.child.kill('SIGCONT')
    }
    await until(async () => ((await list()) as { state: string }[]).every(({ state }) => state === 'ready'))
    await page.route('**/photos', async route => {
      if (route.request().method() !== 'GET') return route.fallback()
      const [newest] = (await list()) as { id: string }[]
      await route.fulfill({ json: { photos: [newest], next: `/photos?after=${newest?.id}` } })
    })
    await hide(false)
    await Promise.all([ready('harbour.jpg'), ready('pines.png')])
  })

  test('a stream that only seems open, after the network was lost, is noticed within a minute or so', async () => {
    const tab = await context.newPage()
    await tab.clock.install()
    await tab.goto(web.endpoints.web ?? '')
    await tab.getByText('No photos yet.').waitFor()
    await tab.route('**/photos', route => route.abort())
    await tab.clock.runFor(62_000)
    await tab.getByText('No connection.').waitFor()
  })

  test('without events the page asks instead', async () => {
    await page.route('**/events', route => route.fulfill({ status: 503, body: '' }))
    await page.reload()
    await choose(harbour)
    await ready('harbour.jpg')
  })

  test('all can be done with the keyboard, which never loses its place', async () => {
    await choose(harbour, pines)
    await Promise.all([ready('harbour.jpg'), ready('pines.png')])
    const focused = () => page.evaluate<string>('document.activeElement.getAttribute("aria-label")')
    const tabTo = (name: string) =>
      until(async () => (await focused()) === name || void (await page.keyboard.press('Tab')), { what: name })
    await tabTo('pines.png: show the time of each stage')
    // The outline is not cut off at the edge of its row.
    const margin = 'getComputedStyle(document.querySelector("li.photo")).overflowClipMargin'
    expect(await page.evaluate(margin)).not.toBe('0px')
    await page.keyboard.press('Enter')
    await row('pines.png')
      .getByText(/ s in all, /)
      .waitFor()
    await tabTo('Delete: pines.png')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    await row('pines.png').waitFor({ state: 'detached' })
    expect(await focused()).toBe('harbour.jpg: show the time of each stage')
  })

  test('a screen reader hears what happens and finds a name on every control', async () => {
    await choose(harbour, pines)
    await Promise.all([ready('harbour.jpg'), ready('pines.png')])
    await page
      .getByRole('status')
      .getByText(/: ready (in|after)/)
      .waitFor()
    const devtools = await context.newCDPSession(page)
    const { nodes } = await devtools.send('Accessibility.getFullAXTree')
    await devtools.detach()
    const controls = nodes.filter(
      ({ role, ignored }) => !ignored && ['button', 'link', 'combobox', 'textbox'].includes(role?.value),
    )
    const names = controls.map(({ name }) => name?.value as string)
    expect(names).toHaveLength(new Set(names).size)
    expect(names).not.toContain('')
    expect(names).toEqual(expect.arrayContaining(['Tintype', 'Choose photos', 'Download: pines.png']))
    expect(await page.locator('main').ariaSnapshot()).toContain('heading "harbour.jpg" [level=3]')
  })

  test('of many photos a screen reader hears a summary now and then, not each one', async () => {
    await page.route('**/events', route => route.fulfill({ status: 503, body: '' }))
    await page.reload()
    await page.evaluate(`{
      globalThis.said = []
      const note = () => said.push({ at: performance.now(), text: document.querySelector('#said').textContent })
      new MutationObserver(note).observe(document.querySelector('#said'), { childList: true })
    }`)
    const said = () => page.evaluate<{ at: number; text: string }[]>('said')
    // The first list of the page shows one photo as ready, and the next one all, however fast the converter is.
    let lists = 0
    await page.route('**/photos', async route => {
      if (route.request().method() !== 'GET') return route.fallback()
      const photos = await list()
      if (photos.length === 9 && photos.every(({ state }) => state === 'ready')) lists++
      const isShown = (i: number) => lists > 1 || (lists === 1 && i === 0)
      const shown = photos.map((each, i) => (isShown(i) ? each : { ...each, state: 'queued' }))
      await route.fulfill({ json: { photos: shown, next: null } })
    })
    await choose(...Array.from({ length: 9 }, (_, i) => ({ ...harbour, name: `${i}.jpg` })))
    const summary = '8 changes in your photos. 9 of 9 photos are ready'
    await until(async () => (await said()).at(-1)?.text === summary, { what: 'the summary' })
    const [one, cleared, all, ...more] = await said()
    expect(one?.text).toMatch(/^\d\.jpg: ready .* 1 of 9 photos/)
    expect(cleared?.text, 'or the same text a second time would not be heard').toBe('')
    expect((all?.at ?? 0) - (one?.at ?? 0)).toBeGreaterThan(4_900)
    expect(more).toEqual([])
  })

  test('several photos have one progress together, and what could not be taken is counted', async () => {
    const nothing = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no photo') }
    await choose(harbour)
    await ready('harbour.jpg')
    expect(await page.locator('#overall').isVisible()).toBe(false)
    await choose(pines, { ...harbour, name: 'again.jpg' }, nothing)
    await page.locator('#overall').getByText('2 of 3 photos are ready; 1 could not be taken').waitFor()
    const bar = await page
      .getByRole('progressbar')
      .evaluate(each => Number(Reflect.get(each, 'value')) / Number(Reflect.get(each, 'max')))
    expect(bar).toBe(1)
  })

  test('the photos of a dropped folder are taken, those of inner folders too, and other files are left out', async () => {
    await page.evaluate(`{
      const bytes = Uint8Array.from(atob('${harbour.buffer.toString('base64')}'), each => each.charCodeAt(0))
      const file = (name, type) => ({ isDirectory: false, file: done => done(new File([bytes], name, { type })) })
      const seen = new Promise(go => (globalThis.goOn = go))
      const folder = (name, entries) => ({
        isDirectory: true,
        name,
        createReader: () => ({ readEntries: done => seen.then(() => done(entries.splice(0))) }),
      })
      const unreadable = [
        { file: (_, failed) => failed() },
        { isDirectory: true, createReader: () => ({ readEntries: (_, failed) => failed() }) },
      ]
      const trip = folder('trip', [file('day.jpg', 'image/jpeg'), file('._day.jpg', 'image/jpeg'), file('.DS_Store', ''), file('route.gpx', ''), ...unreadable, folder('night', [file('night.JPG', '')])])
      const drop = new Event('drop', { bubbles: true, cancelable: true })
      drop.dataTransfer = { types: ['Files'], items: [trip, folder('none', [])].map(entry => ({ getAsFile: () => new File([], 'trip'), webkitGetAsEntry: () => entry })) }
      document.body.dispatchEvent(drop)
    }`)
    // Large folders are read for seconds.
    await page.locator('#taken').getByText('Looking for photos in the folder trip…').waitFor()
    await page.evaluate('goOn()')
    await Promise.all([ready('day.jpg'), ready('night.JPG')])
    await page
      .locator('#taken')
      .getByText('2 photos of the folder trip; 3 other files were left out.')
      .waitFor()
    await page.locator('#taken').getByText('No photo of the folder none.').waitFor()
    expect(await page.locator('li.photo').count()).toBe(2)
  })

  test.skipIf(!shots)('drawn', async () => {
    const storage = await openStorage(storageUrl('', dataDir))
    const status = { online: true, budgetLeftMinutes: 57, budgetMinutes: 60, keptRatio: 1, at: new Date() }
    await storage.put('status.json', Buffer.from(JSON.stringify(status)))
    await storage.close()
    const pages = { status: '/status', objectives: '/promises', logs: '/logs' }
    await page.route('**/pages.json', route => route.fulfill({ json: pages }))
    const draw = async (name: string) => {
      for (const [width, colorScheme] of [
        [320, 'dark'],
        [1024, 'dark'],
        [3840, 'light'],
        [1024, 'light'],
      ] as const) {
        await page.setViewportSize({ width, height: 900 })
        await page.emulateMedia({ colorScheme })
        const path = `${shots}/${name}${width === 1024 && colorScheme === 'light' ? '' : `-${width}-${colorScheme}`}.png`
        await page.screenshot({ path, fullPage: true })
      }
    }
    await page.reload()
    await page.getByText('57 of 60 minutes').waitFor()
    await draw('upload-empty')
    const hills = ['#9d8470', '#776658', '#554a43', '#332e2b'].map(
      (colour, i) =>
        `<path fill="${colour}" d="M0 ${300 + 45 * i} q160 -${90 - 25 * i} 320 0 t320 ${9 * i} V480 H0z"/>`,
    )
    const sky =
      '<rect width="640" height="480" fill="#b89a85"/><circle cx="200" cy="165" r="38" fill="#ffeed8"/>'
    const evening = sharp(
      Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg">${sky}${hills.join('')}</svg>`),
    )
    await choose({ ...harbour, buffer: await evening.resize(640, 480, { fit: 'cover' }).jpeg().toBuffer() })
    await ready('harbour.jpg')
    await picture('harbour.jpg').click()
    await choose({ name: 'notes.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7') })
    await says('notes.pdf', /We take/)
    converter.child.kill('SIGSTOP')
    await choose({ ...pines, name: 'beach.png' })
    await says('beach.png', /waiting · [2-9] s/)
    // An upload that stays at 63 %.
    await page.evaluate(`XMLHttpRequest.prototype.send = function () {
      this.upload.dispatchEvent(new ProgressEvent('progress', { lengthComputable: true, loaded: 63, total: 100 }))
    }`)
    await choose({ ...harbour, name: 'IMG_2031.jpg' })
    await says('IMG_2031.jpg', 'uploading 63 %')
    await draw('upload')
    await page.locator('#status').click()
    await context.setOffline(true)
    await page.getByText('No connection.').waitFor()
    await draw('upload-offline')
    converter.child.kill('SIGCONT')
    await context.setOffline(false)
    await page.goto(`${web.endpoints.web}/?lang=ko`)
    await draw('upload-korean')
  })

  test('a phone offers its camera, a computer does not', async () => {
    expect(await page.getByText('Take a photo').isVisible()).toBe(false)
    const phone = await browser.newContext({ locale: 'en-GB', hasTouch: true, isMobile: true })
    const tab = await openTab(phone)
    expect(await tab.getByText('Take a photo').isVisible()).toBe(true)
    // A page that is pulled down is not reloaded.
    expect(await tab.evaluate('getComputedStyle(document.documentElement).overscrollBehaviorY')).toBe(
      'contain',
    )
    await phone.close()
  })

  /** The address of a proxy before web: `handle` passes a request on to a path, or answers it. */
  async function startProxy(
    handle: (incoming: IncomingMessage, outgoing: ServerResponse, pass: (path: string) => void) => void,
  ): Promise<string> {
    const target = new URL(web.endpoints.web ?? '')
    const pass = (incoming: IncomingMessage, outgoing: ServerResponse, path: string) => {
      const { method, headers } = incoming
      const passed = request({ host: target.hostname, port: target.port, method, path, headers }, answer => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      })
      incoming.pipe(passed.on('error', () => outgoing.destroy()))
    }
    const proxy = createServer((incoming, outgoing) =>
      handle(incoming, outgoing, path => pass(incoming, outgoing, path)),
    ).listen(0, '127.0.0.1')
    onTestFinished(() => void proxy.closeAllConnections())
    onTestFinished(() => void proxy.close())
    await once(proxy, 'listening')
    return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  }

  test('all works behind a proxy that serves the page under a prefix, also where the address has a password', async () => {
    const address = await startProxy(({ url = '' }, outgoing, pass) => {
      const path = url.replace(/^\/tintype(?=\/)/, '')
      // What does not stand under the prefix is another program's.
      if (path === url) outgoing.writeHead(404).end()
      else pass(path)
    })
    await page.goto(`${address.replace('//', '//user:password@')}/tintype/`)
    await page.getByText('No photos yet.').waitFor()
    await choose(harbour)
    await ready('harbour.jpg')
    await picture('harbour.jpg').click()
    await row('harbour.jpg').locator('dd').first().waitFor()
    const thumbnail = await row('harbour.jpg')
      .getByRole('link', { name: /^Download/ })
      .evaluate(link => Reflect.get(link, 'href'))
    expect((await context.request.get(thumbnail as string)).status()).toBe(200)
    await row('harbour.jpg').getByRole('button', { name: 'Delete' }).click()
    await row('harbour.jpg').getByRole('button', { name: 'Really delete?' }).click()
    await row('harbour.jpg').waitFor({ state: 'detached' })
  })

  test('behind a proxy that asks by loopback, as nginx does, the page links to nothing on the person’s own machine', async () => {
    const file = join(dataDir, 'endpoints.json')
    await writeFile(file, JSON.stringify({ slo: 'http://127.0.0.1:1' }))
    onTestFinished(() => rm(file))
    const address = await startProxy((incoming, _, pass) => {
      incoming.headers.host = new URL(web.endpoints.web ?? '').host
      pass(incoming.url ?? '')
    })
    const linked = async () => {
      const css = (await page.locator('link[href$="lib/style.css"]').getAttribute('href')) ?? ''
      const module = new URL(css.replace('style.css', 'navigation.ts'), page.url())
      return page.evaluate(`import('${module}').then(({ pageAddresses }) => pageAddresses).then(Object.keys)`)
    }
    await page.goto(address)
    expect(await linked()).toEqual(['status', 'objectives'])
    await page.goto(address.replace('127.0.0.1', elsewhere))
    expect(await linked()).toEqual([])
  })

  test('the language is switched on the page and stays', async () => {
    await page.getByRole('link', { name: '한국어' }).click()
    await page.getByText('사진 선택').waitFor()
    await page.goto(web.endpoints.web ?? '')
    await page.getByText('사진 선택').waitFor()
    expect(await page.locator('nav a').allTextContents()).toEqual(['업로드'])
    // The links of the page carry the language: a page of another host has no cookie.
    expect(await page.locator('nav a').evaluate(link => Reflect.get(link, 'href'))).toMatch(/\?lang=ko$/)
    await page.getByRole('link', { name: 'English' }).click()
    await page.getByText('Choose photos').waitFor()
  })

  test('the language is the same on the pages of every port', async () => {
    await page.getByRole('link', { name: '한국어' }).click()
    await page.getByText('사진 선택').waitFor()
    const port = await startProxy(({ url = '' }, _, pass) => pass(url))
    await page.goto(port)
    await page.getByText('사진 선택').waitFor()
    await page.goto(`${port}/?lang=kok`)
    await page.getByText('사진 선택').waitFor()
  })

  test('a browser of another language gets English, also one whose name begins like Korean’s', async () => {
    await page.goto(`${web.endpoints.web}/?lang=kok`)
    await page.getByText('Choose photos').waitFor()
  })

  test('no state of the page has a barrier, at the width of a small phone', async () => {
    await page.setViewportSize({ width: 320, height: 700 })
    expect(await barriers(page), 'empty').toEqual([])
    await choose(harbour, { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no photo') })
    await ready('harbour.jpg')
    await picture('harbour.jpg').click()
    await row('harbour.jpg').locator('dd').first().waitFor()
    expect(await barriers(page), 'a journey and a refusal').toEqual([])
    await context.setOffline(true)
    await page.getByText('No connection.').waitFor()
    expect(await barriers(page), 'offline').toEqual([])
  })

  test('nothing is cut off from a phone’s width to a wide screen, in English and in Korean', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    for (const language of ['en', 'ko']) {
      await page.goto(`${web.endpoints.web}/?lang=${language}`)
      await ready('harbour.jpg')
      await picture('harbour.jpg').click()
      for (const width of [320, 1024, 3840]) {
        await page.setViewportSize({ width, height: 900 })
        expect(await page.evaluate('document.documentElement.scrollWidth'), `${language} ${width}`).toBe(
          width,
        )
      }
    }
    // Letters twice as large as usual, as a person may set them in the browser.
    const devtools = await context.newCDPSession(page)
    await devtools.send('Page.setFontSizes', { fontSizes: { standard: 32, fixed: 32 } })
    await page.setViewportSize({ width: 320, height: 900 })
    expect(await page.evaluate('document.documentElement.scrollWidth'), 'large letters').toBe(320)
    await devtools.send('Page.setFontSizes', { fontSizes: { standard: 16, fixed: 13 } })
    await devtools.detach()
    expect(await page.locator('html').getAttribute('lang')).toBe('ko')
    await page.getByText('사진 선택').waitFor()
  })

  test('the header says what slo last said, and since when nothing is known', async () => {
    const storage = await openStorage(storageUrl('', dataDir))
    const write = (at: Date) =>
      storage.put(
        'status.json',
        Buffer.from(
          JSON.stringify({ online: true, budgetLeftMinutes: 57.9, budgetMinutes: 60.9, keptRatio: 1, at }),
        ),
      )
    await write(new Date())
    await page.reload()
    await page.getByText('online · 57 of 60 minutes left today').click()
    await page.getByText('57 of them are left.').waitFor()
    expect(await barriers(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.getByText('57 of them are left.').waitFor({ state: 'hidden' })
    // It covers what is below it until a click elsewhere.
    await page.locator('#status').click()
    await page.locator('#drop-limits').click()
    await page.getByText('57 of them are left.').waitFor({ state: 'hidden' })
    await write(new Date(Date.now() - 4 * 60_000))
    await page.reload()
    // With its date when that was yesterday.
    await page.getByText(/^not known since (\d+ \w+ )?\d+:\d\d$/).waitFor()
    await storage.close()
  })

  test('of a status that is not read yet, or cannot be read, nothing false is said', async () => {
    const asked = Promise.withResolvers<void>()
    await page.route('**/status.json', async route => {
      await asked.promise
      await route.fulfill({ status: 503, json: { detail: 'Storage does not answer.' } })
    })
    await page.reload()
    await page.getByText('No photos yet.').waitFor()
    expect(await page.textContent('#state')).toBe('')
    asked.resolve()
    await page.getByText('Whether the service keeps its promise is not known at the moment.').waitFor()
    // In the minute of its first journey a fresh service was said to be offline.
    const begun = { online: null, budgetLeftMinutes: null, budgetMinutes: null, at: new Date() }
    await page.route('**/status.json', route => route.fulfill({ json: begun }))
    await page.reload()
    await page.getByText('Whether the service keeps its promise is not measured yet.').waitFor()
  })

  test('a link that is dropped does not leave the page, and of that and a pasted one the page says what to do', async () => {
    const isLeft = await page.evaluate(`{
      const dataTransfer = new DataTransfer()
      dataTransfer.setData('text/uri-list', 'http://photos.example/1.jpg')
      const given = { bubbles: true, cancelable: true, dataTransfer }
      ;['dragover', 'drop'].map(name => document.body.dispatchEvent(new DragEvent(name, given))).some(Boolean)
    }`)
    expect(isLeft).toBe(false)
    await page.locator('#taken').getByText('This is a link or a text, not a file.').waitFor()
    await hand('drop', harbour)
    await ready('harbour.jpg')
    expect(await page.textContent('#taken')).toBe('')
    await page.evaluate(`{
      const clipboardData = new DataTransfer()
      clipboardData.setData('text/plain', 'http://photos.example/1.jpg')
      document.body.dispatchEvent(new ClipboardEvent('paste', { bubbles: true, clipboardData }))
    }`)
    await page.locator('#taken').getByText('This is a link or a text, not a file.').waitFor()
  })

  test('a tab that alone has a photo’s bytes asks before it is closed', async () => {
    const tab = await openTab(context)
    await context.setOffline(true)
    await tab.setInputFiles('#choose', harbour)
    await row('harbour.jpg', tab).waitFor()
    await tab.locator('h2').first().click() // a browser asks only where a person has done something
    const asked = tab.waitForEvent('dialog')
    await tab.close({ runBeforeUnload: true })
    expect((await asked).type()).toBe('beforeunload')
    await Promise.all([tab.waitForEvent('close'), (await asked).accept()])
  })

  test('a picture can be dragged out of the page, and dropped on the page it is not sent again', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    await page.evaluate(`addEventListener('drop', () => { document.title += '!' })`)
    await picture('harbour.jpg').dragTo(page.locator('#drop'))
    expect(await page.locator('[data-over]').count()).toBe(0)
    expect([await page.title(), await page.textContent('#taken')]).toEqual(['Tintype!', ''])
    await hand('drop', pines)
    await ready('pines.png')
    expect(await page.locator('li.photo').count()).toBe(2)
  })

  test('a file that was changed after it had been chosen is refused, because it can never be sent', async () => {
    const file = `${dataDir}/changed.jpg`
    await writeFile(file, harbour.buffer)
    await page.route('**/photos', async route => {
      if (route.request().method() !== 'POST') return route.fallback()
      await writeFile(file, pines.buffer)
      await utimes(file, 0, 0) // the browser compares times, in seconds
      await route.continue()
    })
    await page.setInputFiles('#choose', file)
    await says(
      'changed.jpg',
      /^The file was changed, moved or deleted after you chose it, or this browser may not/,
    )
  })

  test('a file that can be read but not sent, as those of Android’s photo picker, is sent from memory', async () => {
    await page.evaluate(`{
      const { send } = XMLHttpRequest.prototype
      XMLHttpRequest.prototype.send = function (body) {
        if (body instanceof File) this.dispatchEvent(new ProgressEvent('error'))
        else send.call(this, body)
      }
    }`)
    await choose(harbour)
    await ready('harbour.jpg')
  })

  test('an upload that stops moving is sent again, once a proxy that took it at once has had the time to pass it on', async () => {
    const size = 1_920_000
    let stalls = 1
    const address = await startProxy(({ method, url = '' }, _, pass) => {
      if (method !== 'POST' || stalls-- <= 0) pass(url)
    })
    await page.goto(address)
    await page.evaluate(`{
      const { set } = Object.getOwnPropertyDescriptor(XMLHttpRequest.prototype, 'timeout')
      globalThis.longestMs = 0
      // A minute becomes a second.
      const shorten = ms => (longestMs = Math.max(longestMs, ms)) && ms / 60
      Object.defineProperty(XMLHttpRequest.prototype, 'timeout', { set(ms) { set.call(this, shorten(ms)) } })
    }`)
    await choose({ ...harbour, buffer: Buffer.concat([harbour.buffer], size) })
    await says('harbour.jpg', /Could not be sent; trying again in/)
    expect(await page.evaluate('longestMs')).toBeGreaterThan(60_000 + size / 64)
    await ready('harbour.jpg')
    expect(await page.locator('li.photo').count()).toBe(1)
  })

  test('names are shown as they are: long, from right to left, or like HTML', async () => {
    const names = [
      `${'long-'.repeat(48)}.jpg`,
      'שלום-\u202egpj.jpg',
      '<img src=x onerror=alert(1)>.jpg',
      '한글 사진.jpg',
    ]
    await choose(...names.map(name => ({ ...harbour, name })))
    for (const name of names) await ready(name)
    expect((await page.locator('h3').allTextContents()).toSorted()).toEqual(names.toSorted())
    await page.setViewportSize({ width: 320, height: 700 })
    expect(await barriers(page)).toEqual([])
  })

  test('a thumbnail is saved with the extension of its type, also where the photo’s name has dots, and shown alone; an original is saved under its name', async () => {
    await choose({ ...harbour, name: 'Scan 10.04' })
    await ready('Scan')
    const link = row('Scan').getByRole('link', { name: /^Download/ })
    expect(await link.getAttribute('download')).toBe('Scan 10-04-thumbnail')
    await choose({ ...harbour, name: 'Screenshot 2026-11-26 at 10.04.22.jpg' })
    await ready('Screenshot')
    const saved = page.waitForEvent('download')
    await row('Screenshot')
      .getByRole('link', { name: /^Download/ })
      .click()
    expect((await saved).suggestedFilename()).toMatch(/^Screenshot 2026-11-26 at 10-04-22-thumbnail\.jpe?g$/)
    await row('Screenshot').locator('.open').click()
    const original = page.waitForEvent('download')
    await row('Screenshot').getByRole('link', { name: 'Original' }).click()
    expect((await original).suggestedFilename()).toBe('Screenshot 2026-11-26 at 10.04.22.jpg')
    // Opened in a tab of its own, the picture is shown as the browser shows any: in the middle.
    // Without the script of the other tabs, which the picture's sandbox refuses.
    const alone = await context.newPage()
    const address = (await picture('Screenshot').getAttribute('src')) ?? ''
    await alone.goto(new URL(address, web.endpoints.web).href)
    expect(await alone.evaluate('getComputedStyle(document.images[0]).marginTop')).not.toBe('0px')
  })

  test('a double click on Cancel, or Enter held down, ends no other upload', async () => {
    await page.route('**/photos', route => route.request().method() === 'POST' || route.continue())
    await choose(harbour, { ...harbour, name: 'pier.jpg' }, { ...harbour, name: 'quay.jpg' })
    await row('quay.jpg').getByRole('button', { name: 'Cancel' }).dblclick()
    await row('quay.jpg').waitFor({ state: 'detached' })
    expect(await page.locator('li.photo').count()).toBe(2)
    await row('pier.jpg').getByRole('button').focus()
    for (let repeats = 0; repeats < 3; repeats++) await page.keyboard.down('Enter')
    await page.keyboard.up('Enter')
    await row('harbour.jpg').getByRole('button').click()
  })

  test('a double click on Delete, or Enter held down, only asks', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    await row('harbour.jpg').getByRole('button', { name: 'Delete' }).dblclick()
    const question = row('harbour.jpg').getByRole('button', { name: 'Really delete?' })
    await question.waitFor()
    await page.locator('#choose').focus()
    await row('harbour.jpg').getByRole('button', { name: 'Delete' }).focus()
    for (let repeats = 0; repeats < 5; repeats++) await page.keyboard.down('Enter')
    await page.keyboard.up('Enter')
    await question.waitFor()
    expect(await list()).toHaveLength(1)
    // Another key that is held down goes on.
    await row('harbour.jpg').getByRole('link', { name: 'Download' }).focus()
    for (let repeats = 0; repeats < 2; repeats++) await page.keyboard.down('Tab')
    await page.keyboard.up('Tab')
    expect(await page.evaluate('document.activeElement.textContent')).not.toBe('Delete')
  })

  test('a page that the browser has translated asks before it deletes, and its texts are left alone', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    const translated = (selector: string, text: string) =>
      page.evaluate(`document.querySelector('${selector}').innerHTML = '<font>${text}</font>'`)
    await translated('.actions button', 'Löschen')
    await translated('.photo .text', 'fertig')
    await row('harbour.jpg').getByRole('button', { name: 'Delete' }).click()
    await row('harbour.jpg').getByRole('button', { name: 'Really delete?' }).waitFor()
    await page.evaluate('dispatchEvent(new Event("online"))') // the list is read again
    await page.waitForResponse(response => response.url().endsWith('/photos'))
    expect(await row('harbour.jpg').locator('.text font').count()).toBe(1)
    expect(await list()).toHaveLength(1)
  })

  test('the file of an accepted photo is let go: a pasted one would stay in memory', async () => {
    await hand('paste', harbour)
    await ready('harbour.jpg')
    const devtools = await context.newCDPSession(page)
    const { result } = await devtools.send('Runtime.evaluate', { expression: 'File.prototype' })
    await until(async () => {
      await devtools.send('HeapProfiler.collectGarbage')
      const prototypeObjectId = result.objectId as string
      const { objects } = await devtools.send('Runtime.queryObjects', { prototypeObjectId })
      const functionDeclaration = 'function () { return this.length }'
      const objectId = objects.objectId as string
      const counted = await devtools.send('Runtime.callFunctionOn', { objectId, functionDeclaration })
      return counted.result.value === 0
    })
    await devtools.detach()
  })

  /** Half a minute, the longest pause between two tries, again and again: a busy machine's page may miss some. */
  async function fastForwardUntil(isDone: () => boolean | Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + 60_000; !(await isDone()); await page.clock.fastForward(30_000))
      if (Date.now() > deadline) throw new Error('not within a minute')
  }

  test('a picture that does not load is asked for until it does', async () => {
    await page.clock.install()
    await page.reload()
    let asked = 0
    await page.route('**/thumbnail', route => {
      asked++
      return route.abort()
    })
    await choose(harbour)
    await says('harbour.jpg', /^ready (in|after)/)
    await fastForwardUntil(() => asked >= 20)
    await page.unroute('**/thumbnail')
    await page.clock.runFor(60_000)
    await ready('harbour.jpg')
  })

  test('a thumbnail that storage has lost is said to be lost, and not waited for; the page of a network’s login says nothing of it', async () => {
    let asked = 0
    await page.route('**/thumbnail', route =>
      asked++ < 2
        ? route.fulfill({ contentType: 'text/html', body: 'Sign in' })
        : route.fulfill({ status: 404, contentType: 'application/problem+json', body: '{}' }),
    )
    await choose(harbour)
    await says('harbour.jpg', /Its thumbnail cannot be shown/)
    expect(asked).toBeGreaterThan(2)
  })

  async function countListeners(): Promise<number> {
    const devtools = await context.newCDPSession(page)
    await devtools.send('HeapProfiler.collectGarbage')
    const { jsEventListeners } = await devtools.send('Memory.getDOMCounters')
    await devtools.detach()
    return jsEventListeners
  }

  test('an upload goes on after many tries without a connection, and is given up only where all else works', async () => {
    await page.clock.install()
    await page.reload()
    let tries = 0
    let isReached = false
    let isBusy = false
    await page.route('**/photos', route => {
      const isUpload = route.request().method() === 'POST'
      if (isUpload) tries++
      if (isUpload && isBusy) return route.fulfill({ status: 429, headers: { 'Retry-After': '5' } })
      return isUpload || !isReached ? route.abort() : route.continue()
    })
    await choose(harbour)
    await fastForwardUntil(() => tries >= 5)
    const listeners = await countListeners()
    // After 25 tries a reached service would have ended it.
    await fastForwardUntil(() => tries >= 30)
    await says('harbour.jpg', /Could not be sent; trying again in/)
    // Each try left nine. Of a thousand photos without a network they stopped the page.
    expect((await countListeners()) - listeners).toBeLessThan(25)
    isReached = true
    // A service that is busy says itself when to come again.
    isBusy = true
    const busy = row('harbour.jpg').getByText('Busy right now')
    await until(async () => (await busy.isVisible()) || page.clock.fastForward(30_000))
    isBusy = false
    const answered = tries
    const givenUp = row('harbour.jpg').getByText('Could not be sent after many tries.')
    await fastForwardUntil(() => givenUp.isVisible())
    // Tries before that answer do not count.
    expect(tries - answered).toBeGreaterThan(20)
    await page.unroute('**/photos')
    await row('harbour.jpg').getByRole('button', { name: 'Try again' }).click()
    await ready('harbour.jpg')
  })

  test('a photo that is cancelled while it is stored is deleted: it had arrived', async () => {
    const arrived = Promise.withResolvers<void>()
    const cancelled = Promise.withResolvers<void>()
    const address = await startProxy(async (incoming, outgoing, pass) => {
      const { method, url = '', headers } = incoming
      if (method !== 'POST' || url !== '/photos') return pass(url)
      const body = Buffer.concat(await incoming.toArray())
      const names = ['cookie', 'content-type', 'idempotency-key']
      const sent = Object.fromEntries(names.map(name => [name, String(headers[name])]))
      const answer = await fetch(`${web.endpoints.web}/photos`, { method, headers: sent, body })
      arrived.resolve()
      await cancelled.promise
      outgoing.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text())
    })
    await page.goto(address)
    await choose(harbour)
    await arrived.promise
    await says('harbour.jpg', 'uploaded; being stored')
    expect(await list()).toHaveLength(1)
    await row('harbour.jpg').getByRole('button', { name: 'Cancel' }).click()
    await row('harbour.jpg').waitFor({ state: 'detached' })
    cancelled.resolve()
    await until(async () => (await list()).length === 0, { what: 'the deletion' })
  })

  test('an upload that the browser stops, as when its page is left, is sent again', async () => {
    let stops = 1
    await page.route('**/photos', async route => {
      if (route.request().method() !== 'POST' || stops-- <= 0) return route.fallback()
      await page.evaluate('stop()')
    })
    await choose(harbour)
    await ready('harbour.jpg')
  })

  test('a hidden tab opens no stream when the network is back: tabs share six connections', async () => {
    await page.getByText('No photos yet.').waitFor()
    let streams = 0
    page.on('request', request => request.url().endsWith('/events') && streams++)
    await page.evaluate(`{
      Object.defineProperty(document, 'hidden', { value: true, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
      dispatchEvent(new Event('online'))
    }`)
    await page.evaluate('fetch("photos").then(response => response.text())')
    expect(streams).toBe(0)
    await page.evaluate(`{
      Object.defineProperty(document, 'hidden', { value: false })
      document.dispatchEvent(new Event('visibilitychange'))
    }`)
    await until(() => streams === 1, { what: 'a stream once it is seen' })
  })

  test('the state is announced when it changes, not each time that it is read', async () => {
    await page.clock.install()
    await page.reload()
    await page.getByText('You can send photos.').waitFor()
    await page.evaluate(`{
      globalThis.changes = 0
      new MutationObserver(() => changes++).observe(document.querySelector('#state'), { childList: true })
    }`)
    const read = page.waitForResponse('**/status.json')
    // In steps, after which requests are answered: the clock also runs for their time limits.
    for (let step = 0; step < 16; step++) {
      await page.clock.runFor(2_000)
      await page.evaluate('fetch("photos").then(response => response.text())')
    }
    await (await read).finished()
    expect(await page.evaluate('changes')).toBe(0)
  })

  test('a deletion that did not reach web is said on its button, and a click tries again', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    await page.route('**/photos/*', route =>
      route.request().method() === 'DELETE'
        ? route.fulfill({ status: 404, body: '404 page not found' })
        : route.fallback(),
    )
    await row('harbour.jpg').getByRole('button', { name: 'Delete' }).click()
    await row('harbour.jpg').getByRole('button', { name: 'Really delete?' }).click()
    const again = row('harbour.jpg').getByRole('button', { name: 'It could not be deleted' })
    await again.waitFor()
    await page.unroute('**/photos/*')
    await again.click()
    await row('harbour.jpg').waitFor({ state: 'detached' })
  })

  test('bars are drawn also in forced colours, in which a browser removes backgrounds', async () => {
    await choose(harbour)
    await ready('harbour.jpg')
    await picture('harbour.jpg').click()
    await row('harbour.jpg').locator('.segment').first().waitFor()
    await page.emulateMedia({ forcedColors: 'active' })
    const drawn = (selector: string) =>
      page.evaluate(`getComputedStyle(document.querySelector('${selector}')).forcedColorAdjust`)
    expect(await drawn('.segment')).toBe('none')
    expect(await drawn('.stages .swatch')).toBe('none')
    await page.emulateMedia({ forcedColors: 'none' })
  })

  test('dark colours print as dark text on white paper', async () => {
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    const ink = await page.evaluate('getComputedStyle(document.body).color')
    await page.emulateMedia({ media: 'screen', colorScheme: 'dark' })
    expect(ink).toBe('rgb(31, 28, 25)')
    expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(236, 232, 225)')
  })

  test('what another program at this address keeps in the browser breaks nothing', async () => {
    for (const value of ['[1, null, {}]', 'dark', 'null']) {
      await page.evaluate(`{
        const { setItem } = Object.getPrototypeOf(localStorage)
        setItem.call(sessionStorage, 'unsent', '${value}')
        document.cookie = 'tintype-language=${value}'
      }`)
      await page.reload()
      await choose(harbour)
      await ready('harbour.jpg')
      await row('harbour.jpg').getByRole('button', { name: 'Delete' }).click()
      await row('harbour.jpg').getByRole('button', { name: 'Really delete?' }).click()
      await row('harbour.jpg').waitFor({ state: 'detached' })
    }
  })

  test('a browser that refuses cookies and storage shows the page, and says why it sends nothing', async () => {
    const profile = await mkdtemp(`${tmpdir()}/tintype-profile-`)
    await mkdir(`${profile}/Default`)
    const blocked = { profile: { default_content_setting_values: { cookies: 2 } } }
    await writeFile(`${profile}/Default/Preferences`, JSON.stringify(blocked))
    // The browser without windows reads no preferences.
    const whole = { executablePath: parts.chromium, args: ['--no-sandbox', '--disable-gpu'] }
    const strict = await chromium.launchPersistentContext(profile, { ...whole, locale: 'en-GB' })
    try {
      await strict.addInitScript(
        `globalThis.BroadcastChannel = class { constructor() { throw new Error('as Firefox does') } }`,
      )
      const tab = await openTab(strict)
      await tab.getByText('No photos yet.').waitFor()
      await tab.setInputFiles('#choose', harbour)
      await row('harbour.jpg', tab)
        .getByText(/^This browser refuses cookies/)
        .waitFor()
      await tab.getByRole('link', { name: '한국어' }).click()
      await tab.getByText('사진 선택').waitFor()
    } finally {
      await strict.close()
      await rm(profile, { recursive: true, force: true })
    }
  })
})
