import { ownerOf, sessionOf } from '@tintype/lib/photo/record.ts'
import { expect, test } from 'vitest'
import { png } from '../test/images.ts'
import { startWeb } from '../test/web.ts'

const cookieOf = (response: Response) => response.headers.get('set-cookie') ?? ''

test('first contact sets the session cookie, 128 random bits and signed', async () => {
  const { url } = await startWeb()
  const first = cookieOf(await fetch(`${url}/photos`))
  expect(first).toMatch(
    /^tintype_session=[0-9a-f]{32}\.[\w-]{43}; Max-Age=34560000; Path=\/; HttpOnly; SameSite=Lax$/,
  )
  expect(cookieOf(await fetch(`${url}/photos`))).not.toBe(first)
  const returning = await fetch(`${url}/photos`, { headers: { cookie: first.split(';')[0] ?? '' } })
  expect(cookieOf(returning)).toBe('')
})

test('a view of the page renews the cookie of the session', async () => {
  const { url } = await startWeb()
  const [cookie = ''] = cookieOf(await fetch(`${url}/photos`)).split(';')
  expect(cookieOf(await fetch(`${url}/`, { headers: { cookie } }))).toContain(`${cookie}; Max-Age=34560000`)
})

test('a session that we did not issue is replaced by a new one, and the log says once that secrets may differ', async () => {
  const { url, entries } = await startWeb()
  const [value = ''] = cookieOf(await fetch(`${url}/photos`)).split(';')
  expect(cookieOf(await fetch(`${url}/photos`, { headers: { cookie: value } })), 'kept as valid').toBe('')
  const id = value.slice('tintype_session='.length, 'tintype_session='.length + 32)
  const forged = [
    value.replace(/.$/, last => (last === 'A' ? 'B' : 'A')),
    value.replace(id, 'f'.repeat(32)),
    `tintype_session=${id}`,
    'tintype_session=',
    `${value}${value}`,
  ]
  for (const cookie of forged) {
    const answer = cookieOf(await fetch(`${url}/photos`, { headers: { cookie } }))
    expect(answer, cookie).toMatch(/^tintype_session=/)
    expect(answer).not.toContain(id)
  }
  expect(entries.filter(({ event }) => event === 'session.other-secret')).toHaveLength(1)
})

test('of several cookies with our name the one that we issued counts, wherever it stands', async () => {
  const { url } = await startWeb()
  const [ours = ''] = cookieOf(await fetch(`${url}/photos`)).split(';')
  const others = [
    'tintype_session=other',
    `tintype_session=${'0'.repeat(32)}.${'x'.repeat(43)}`,
    'session=1',
    'a="b',
  ]
  for (const cookie of [
    [...others, ours],
    [ours, ...others],
    ['x=1', ours, ...others],
  ]) {
    const answer = await fetch(`${url}/photos`, { headers: { cookie: cookie.join('; ') } })
    expect(cookieOf(answer), cookie.join()).toBe('')
  }
  const quoted = ours.replace('=', '="').concat('"')
  expect(cookieOf(await fetch(`${url}/photos`, { headers: { cookie: quoted } }))).toBe('')
  for (const cookie of [others.join('; '), `x${ours}`, `x=${ours}`, `x="; ${ours}x`])
    expect(cookieOf(await fetch(`${url}/photos`, { headers: { cookie } })), cookie).toMatch(
      /^tintype_session=/,
    )
})

test('a form that another site posts replaces no session: browsers send it without the cookie', async () => {
  const { url } = await startWeb()
  const post = (site: string, path: string) =>
    fetch(url + path, { method: 'POST', body: png(), headers: { 'sec-fetch-site': site } })
  for (const path of ['/photos', '/']) expect(cookieOf(await post('cross-site', path)), path).toBe('')
  expect(cookieOf(await post('same-origin', '/photos'))).toMatch(/^tintype_session=/)
})

test('the cookie is Secure when a proxy beside us was asked by https', async () => {
  const { url } = await startWeb()
  for (const scheme of ['https', 'HTTPS', 'https,http']) {
    const headers = { 'x-forwarded-proto': scheme }
    expect(cookieOf(await fetch(`${url}/photos`, { headers })), scheme).toContain('; Secure;')
  }
})

test('the page keeps its session by a cookie of its own, where https or another service on the host has the first one', async () => {
  const { url } = await startWeb()
  const https = { 'x-forwarded-proto': 'https' }
  const cookies = async (headers: Record<string, string>, path = '/') =>
    (await fetch(url + path, { headers })).headers.getSetCookie()
  const [, own = ''] = await cookies({})
  expect(own).toMatch(
    /^tintype_session_[0-9a-f]{8}=[^;]+; Max-Age=34560000; Path=\/; HttpOnly; SameSite=Lax$/,
  )
  const value = own.split(/[=;]/)[1] ?? ''
  // The page's requests by http, where the Secure cookie is missing; and with the cookie of another service.
  const pair = own.split(';')[0] ?? ''
  const foreign = `tintype_session=${'0'.repeat(32)}.${'x'.repeat(43)}`
  for (const cookie of [pair, `${foreign}; ${pair}`]) {
    expect(await cookies({ cookie }, '/photos'), cookie).toEqual([])
    expect((await cookies({ cookie }))[0], cookie).toContain(`tintype_session=${value}`)
  }
  // By https the Secure ones count first.
  const secure = await cookies(https)
  expect(secure[1]).toMatch(/^tintype_session_[0-9a-f]{8}=[^;]+;.* Secure;/)
  expect(secure[1]?.split('=')[0]).not.toBe(own.split('=')[0])
  for (const first of secure) {
    const cookie = `${pair}; ${first.split(';')[0]}`
    expect(await cookies({ ...https, cookie })).toEqual(secure)
  }
})

test('what everybody may keep carries no cookie; the page does', async () => {
  const { url } = await startWeb()
  const page = await fetch(url)
  expect(cookieOf(page)).toMatch(/^tintype_session=/)
  expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
  const [asset] = /(?<=")assets\/[^"]+/.exec(await page.text()) ?? []
  const file = await fetch(new URL(asset ?? '', url))
  expect([file.status, cookieOf(file)]).toEqual([200, ''])
})

test('a raised session is logged in detail, and others are not', async () => {
  const running = await startWeb()
  const [person, other] = [running.visitor(), running.visitor()]
  for (const each of [person, other]) await each.call('GET', '/photos')
  const session = sessionOf(ownerOf(person.cookie().slice('tintype_session='.length).split('.')[0] ?? ''))
  running.web.log.setLevel({ level: 'debug', session, forSeconds: 60 })
  running.entries.length = 0
  for (const each of [person, other]) expect((await each.post(png())).status).toBe(202)
  const detail = running.entries.filter(
    each => each.event === 'storage.called' || each.event === 'session.looked-up',
  )
  expect(new Set(detail.map(each => each.session))).toEqual(new Set([session]))
  expect(detail.filter(each => each.operation === 'put')).toHaveLength(1)
  expect(detail.every(each => Number(each.seconds) >= 0)).toBe(true)
})
