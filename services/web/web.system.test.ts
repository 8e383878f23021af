import { readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { openQueue, type Queue, queueUrl } from '@tintype/lib/queue/index.ts'
import { sameSignalMs } from '@tintype/lib/terminal.ts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { s3Environment } from '../../test/s3-servers.ts'
import { type Started, smallDisk, startScript, temporaryFolder, until } from '../../test/support.ts'
import { freePort } from '../../tools/free-port.ts'
import type { PhotoView } from './show/photo-view.ts'
import { png } from './test/images.ts'
import { slowly } from './test/web.ts'

type Service = Started & { url: string; admin: string; queue: Queue }

/** Web as a process of its own; a converter says every second that it is there, but does nothing. */
async function startService(dataDir: string, more: Record<string, string> = {}): Promise<Service> {
  const started = await startScript('services/web/main.ts', {
    DATA_DIR: dataDir,
    WEB_PORT: '0',
    WEB_ADMIN_PORT: '0',
    LOGS_PORT: '0',
    ...more,
  })
  const queue = await openQueue(queueUrl('', dataDir))
  const announce = () => queue.announce({ id: 'test', slots: 4, serviceSeconds: 0.01 })
  await announce()
  const announcing = setInterval(announce, 1_000)
  onTestFinished(async () => {
    clearInterval(announcing)
    await started.stop('SIGKILL')
    await queue.close()
  })
  return { ...started, queue, url: started.endpoints.web ?? '', admin: started.endpoints.webAdmin ?? '' }
}

const post = (url: string, body: Buffer | ReadableStream, headers: Record<string, string> = {}) =>
  fetch(`${url}/photos`, { method: 'POST', body, headers, duplex: 'half' } as RequestInit)

/** Files below a folder, temporary ones included. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

/** Sends half of a photo, then goes on at 5 KB/s, above the minimum rate, and gives what sends the rest. */
async function halfSent(url: string, storage: string) {
  const bytes = png(8, 8, 400_000)
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  let heard = ''
  socket.on('data', chunk => {
    heard += chunk
  })
  socket.write(`POST /photos HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes.length}\r\n\r\n`)
  socket.write(bytes.subarray(0, 200_000))
  await until(async () => (await filesOf(`${storage}/.tmp`)).length > 0, {
    what: 'the upload to be under way',
  })
  let sent = 200_000
  const dripping = setInterval(() => {
    socket.write(bytes.subarray(sent, sent + 1_000))
    sent += 1_000
  }, 200)
  onTestFinished(() => clearInterval(dripping))
  return {
    finish() {
      clearInterval(dripping)
      socket.write(bytes.subarray(sent))
    },
    heard: () => heard,
  }
}

const refusesConnections = (url: string): Promise<boolean> =>
  new Promise(resolve => {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname, () => resolve(false))
    socket.once('connect', () => socket.destroy()).once('error', () => resolve(true))
  })

async function memoryBytes({ child }: Service): Promise<number> {
  const [, pages] = (await readFile(`/proc/${child.pid}/statm`, 'utf8')).split(' ')
  return Number(pages) * 4096
}

describe('stopping', () => {
  test('finishes what is under way, takes nothing new and says that it is not ready', async () => {
    const folder = await temporaryFolder()
    const service = await startService(folder, { OTEL_TRACES_EXPORTER: 'None ' })
    expect((await fetch(`${service.admin}/readyz`)).status).toBe(200)
    const upload = await halfSent(service.url, `${folder}/storage`)
    const events = await fetch(`${service.url}/events`)
    const stopped = service.stop('SIGTERM')
    await until(async () => (await fetch(`${service.admin}/readyz`)).status === 503)
    await until(() => refusesConnections(service.url))
    await events.text() // the stream was ended
    upload.finish()
    await until(() => upload.heard().includes('HTTP/1.1 202'))
    expect(await stopped).toBe(0)
    expect((await service.queue.stats()).depth).toBe(1)
    expect(await readdir(folder), 'without an exporter no trace is written').not.toContain('traces')
  })

  test('a second signal ends it at once', async () => {
    const folder = await temporaryFolder()
    const service = await startService(folder)
    await halfSent(service.url, `${folder}/storage`)
    const stopped = service.stop('SIGTERM')
    await until(async () => (await fetch(`${service.admin}/readyz`)).status === 503)
    const begun = Date.now()
    await until(() => Date.now() - begun > sameSignalMs)
    service.child.kill('SIGTERM')
    expect(await stopped).toBe(1)
  })
})

describe('kill -9', () => {
  test('in the middle of an upload leaves nothing once web is started again, and at each later point the retry ends as one photo', async () => {
    const folder = await temporaryFolder()
    const unfinished = await startService(folder)
    await halfSent(unfinished.url, `${folder}/storage`)
    await unfinished.stop('SIGKILL')
    expect(await filesOf(`${folder}/storage`)).not.toEqual([])
    const points = ['accept.original', 'accept.key', 'accept.recorded', 'accept.enqueued']
    const cookies: string[] = []
    for (const point of points) {
      const killed = await startService(folder, { FAULT_POINT: `${point}:1` })
      if (point === points[0]) await until(async () => (await filesOf(`${folder}/storage`)).length === 0)
      const first = await fetch(`${killed.url}/photos`)
      const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? ''
      await expect(post(killed.url, png(), { cookie, 'idempotency-key': 'once' }), point).rejects.toThrow()
      cookies.push(cookie)
    }
    const service = await startService(folder)
    for (const [i, cookie] of cookies.entries()) {
      const retry = () => post(service.url, png(), { cookie, 'idempotency-key': 'once' })
      const answers = await Promise.all([1, 2, 3].map(retry))
      expect(
        answers.map(answer => answer.status),
        points[i],
      ).toEqual([202, 202, 202])
      const ids = await Promise.all(answers.map(async answer => ((await answer.json()) as PhotoView).id))
      expect(new Set(ids).size, points[i]).toBe(1)
      const list = await fetch(`${service.url}/photos`, { headers: { cookie } })
      expect(((await list.json()) as { photos: PhotoView[] }).photos).toMatchObject([{ id: ids[0] }])
    }
    expect((await service.queue.stats()).depth).toBe(points.length)
  })
})

test('it does not become ready before queue and storage have answered', async () => {
  const unreachable = await freePort()
  for (const [name, url] of [
    ['QUEUE_URL', `postgres://tintype@127.0.0.1:${unreachable}/postgres`],
    ['STORAGE_URL', `s3://photos?endpoint=http://127.0.0.1:${unreachable}&region=here`],
  ] as const)
    await expect(startService(await temporaryFolder(), { [name]: url, ...s3Environment })).rejects.toThrow(
      /ended before it was ready:[\s\S]*ECONNREFUSED/,
    )
})

test('a full disk is told as 503, logged, and leaves room for what fits', async context => {
  const disk = await smallDisk(context, 4 * 1024 * 1024)
  const service = await startService(await temporaryFolder(), { STORAGE_URL: `file:${disk}/storage` })
  const full = await post(service.url, png(8, 8, 6_000_000))
  expect([full.status, full.headers.get('retry-after')]).toEqual([503, '10'])
  expect(((await full.json()) as { type: string }).type).toBe('/problems/not-stored')
  await until(() => /photo\.not-stored.*ENOSPC/.test(service.stderr()))
  // A removal that takes half a second goes on behind the answer.
  await until(async () => (await filesOf(`${disk}/storage`)).length === 0, { what: 'the removal' })
  expect((await post(service.url, png(8, 8, 1_000_000))).status).toBe(202)
})

test('memory stays flat for 50 MB uploads and for 50 slow ones at once', async () => {
  const folder = await temporaryFolder()
  const service = await startService(folder)
  const large = png(8, 8, 52_000_000)
  expect((await post(service.url, large)).status).toBe(202)
  const before = await memoryBytes(service)
  let most = before
  const watching = setInterval(async () => {
    most = Math.max(most, await memoryBytes(service).catch(() => 0))
  }, 20)
  expect((await post(service.url, slowly(large, 100, 0))).status).toBe(202)
  const slow = png(8, 8, 4_000_000)
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => post(service.url, slowly(slow, 10, 100))),
  )
  clearInterval(watching)
  expect(answers.filter(answer => answer.status === 202)).toHaveLength(50)
  // 200 MB were under way at once. Of each upload half a megabyte is in memory at most, when web has little processor time.
  expect((most - before) / 2 ** 20).toBeLessThan(150)
})
