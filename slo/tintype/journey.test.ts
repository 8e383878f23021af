import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLog } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../../test/support.ts'
import { type AlertStore, alertStoreFile, openAlertStore } from '../alerts/alert-store.ts'
import { isPicture, type ProbeSession, picture, runJourney, tidyUp, tidyUpAll } from './journey.ts'
import { names, openProbe } from './probe.ts'

/** A service as the wire shows it: what it holds, what it was asked, and a way to misbehave. */
async function service(
  misbehave: (path: string, response: ServerResponse, nth: number) => boolean = () => false,
  { prefix = '', promiseMs = 2_000 } = {},
) {
  const photos = new Set<string>()
  const asked: { method: string; path: string; cookie: string | undefined; token: string | undefined }[] = []
  const listener: RequestListener = (request, response) => {
    const path = (request.url ?? '').replace(prefix, '')
    if (!request.url?.startsWith(prefix)) return void response.writeHead(404).end()
    const method = request.method ?? ''
    const token = request.headers['tintype-probe'] as string | undefined
    asked.push({ method, path, cookie: request.headers.cookie, token })
    request.resume()
    const nth = asked.filter(each => each.method === method && each.path === path).length
    if (misbehave(`${method} ${path}`, response, nth)) return
    if (method === 'POST') {
      const id = `p${nth}`
      photos.add(id)
      response.writeHead(202, {
        Location: `/photos/${id}`,
        'Set-Cookie': 'tintype_session=abc.sig; HttpOnly; SameSite=Lax',
      })
      const now = Date.now()
      response.end(JSON.stringify({ acceptedAt: new Date(now), promiseBy: new Date(now + promiseMs) }))
    } else if (method === 'DELETE') {
      photos.delete(path.slice('/photos/'.length))
      response.writeHead(204).end()
    } else if (path === '/photos')
      response.end(JSON.stringify({ photos: [...photos].slice(0, 2).map(id => ({ id })) }))
    else if (nth === 1) response.writeHead(202, { 'Retry-After': '1' }).end()
    else response.writeHead(200, { 'Content-Type': 'image/jpeg' }).end(picture)
  }
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const target = new URL(`http://localhost:${(server.address() as AddressInfo).port}${prefix}/`)
  const visitor: ProbeSession = { cookie: undefined }
  const signal = new AbortController().signal
  return { photos, asked, way: { target, token: 'secret', visitor, signal } }
}

describe('a journey', () => {
  test('uploads, waits for the thumbnail, and leaves nothing behind', async () => {
    const { way, photos, asked } = await service()
    const journey = await runJourney(way)
    expect(journey.failure).toBeUndefined()
    expect(photos.size).toBe(1)
    expect(await tidyUp(way, journey.photo as URL)).toBeNull()
    expect(photos.size).toBe(0)
    expect(asked.map(({ method, token }) => [method, token])).toEqual([
      ['POST', 'secret'],
      ['GET', undefined],
      ['GET', undefined],
      ['DELETE', undefined],
    ])
    expect(asked[1]?.cookie).toBe('tintype_session=abc.sig')
  })

  test('keeps the prefix under which a proxy serves the service', async () => {
    const { way, photos } = await service(undefined, { prefix: '/photo-service' })
    const journey = await runJourney(way)
    expect(journey.failure).toBeUndefined()
    expect(await tidyUp(way, journey.photo as URL)).toBeNull()
    await runJourney(way)
    await tidyUpAll(way)
    expect(photos.size).toBe(0)
  })

  test('times each phase, with a look-up of its own', async () => {
    const { phases } = await runJourney((await service()).way)
    expect(phases.dns).toBeGreaterThan(0)
    expect(phases.connect).toBeGreaterThan(0)
    expect(phases.tls).toBe(0)
    expect(phases.processing).toBeGreaterThan(0)
    expect(phases.thumbnail).toBeGreaterThan(0.1)
  })

  test('takes for the time of web only what web says of itself, not what a CDN adds', async () => {
    const { way } = await service((_, response) => {
      response.setHeader('Server-Timing', 'cfCacheStatus;desc="DYNAMIC", cfEdge;dur=6000, app;dur=0, x;dur=9')
      return false
    })
    const { lostSeconds, phases } = await runJourney(way)
    expect(lostSeconds).toBe(phases.processing)
  })

  test('forgives one failed request, and not two', async () => {
    const once = await service(
      (path, response, nth) => path === 'POST /photos' && nth === 1 && refuse(response),
    )
    expect((await runJourney(once.way)).failure).toBeUndefined()
    const twice = await service((path, response) => path === 'POST /photos' && refuse(response))
    const { failure } = await runJourney(twice.way)
    expect(failure).toEqual({ step: 'upload', why: 'answer 503: busy; again: answer 503: busy' })
    expect(twice.asked).toHaveLength(2)
  })

  test('does not repeat what was refused for good', async () => {
    const { way, asked } = await service((path, response) => path === 'POST /photos' && refuse(response, 415))
    expect((await runJourney(way)).failure?.why).toBe('answer 415: busy')
    expect(asked).toHaveLength(1)
  })

  test('fails when the thumbnail is later than web promised, and says where the time went', async () => {
    const never = (path: string, response: ServerResponse) => {
      if (!path.endsWith('/thumbnail')) return false
      response.writeHead(202).end()
      return true
    }
    const { way } = await service(never, { promiseMs: 500 })
    const { failure, phases } = await runJourney(way)
    expect(failure).toEqual({ step: 'thumbnail', why: 'no thumbnail within 0.5 s' })
    expect(phases.thumbnail).toBeGreaterThanOrEqual(0.5)
  })

  test('fails when an error page comes as a picture', async () => {
    const { way } = await service((path, response, nth) => {
      if (!path.endsWith('/thumbnail') || nth === 1) return false
      response.writeHead(200, { 'Content-Type': 'image/jpeg' }).end('<html>')
      return true
    })
    expect((await runJourney(way)).failure?.why).toMatch('not the picture')
  })

  test('a name that does not resolve is a failure in the phase dns', async () => {
    const { way } = await service()
    const { failure, phases } = await runJourney({ ...way, target: new URL('http://nowhere.invalid:1') })
    expect(failure?.step).toBe('upload')
    expect(failure?.why).toMatch(/ENOTFOUND|EAI_AGAIN/)
    expect(phases.dns).toBeGreaterThan(0)
    expect(phases.connect).toBe(0)
  })

  test('a stop ends it without an outcome', async () => {
    const stopping = new AbortController()
    const { way } = await service(() => {
      stopping.abort()
      return true
    })
    await expect(runJourney({ ...way, signal: stopping.signal })).rejects.toThrow('aborted')
  })
})

test('a visitor’s forgotten photos are found and deleted, page by page', async () => {
  const { way, photos } = await service()
  for (let n = 0; n < 5; n++) await runJourney(way)
  expect(await tidyUpAll(way)).toBe(true)
  expect(photos.size).toBe(0)
})

test('a service that goes on listing what it deleted is not asked without end', async () => {
  const { way, asked } = await service((path, response) => {
    if (path !== 'GET /photos') return false
    response.end(JSON.stringify({ photos: [{ id: 'p1' }] }))
    return true
  })
  await runJourney(way)
  expect(await tidyUpAll(way)).toBe(false)
  expect(asked.filter(({ method }) => method === 'DELETE')).toHaveLength(10)
})

test('the photo of a probe that was killed in its journey is deleted by the next one', async () => {
  const { way, photos } = await service()
  const dataDir = await temporaryFolder()
  const metrics = createMetrics('slo', '0', names.others)
  const log = createLog({ service: 'slo', instance: '0', level: 'error' })
  const environment = { PROBE_URL: way.target.href, PROBE_TOKEN: 'secret' }
  const killed = openAlertStore(alertStoreFile(dataDir))
  const open = (store: AlertStore) => openProbe({ environment, dataDir, metrics, log, store })
  await open(killed).attempt(way.signal)
  await killed.flush()
  expect(photos.size).toBe(1)
  const { tidyUp } = await open(openAlertStore(alertStoreFile(dataDir))).attempt(way.signal)
  await tidyUp?.()
  expect(photos.size).toBe(0)
})

test('the picture is one, and its bytes alone do not make another type', () => {
  expect(isPicture('image/jpeg', picture)).toBe(true)
  expect(isPicture('image/png', picture)).toBe(false)
  expect(isPicture('text/html', picture)).toBe(false)
  expect(isPicture('image/jpeg', Buffer.alloc(0))).toBe(false)
})

function refuse(response: ServerResponse, status = 503): true {
  response.writeHead(status).end('busy')
  return true
}
