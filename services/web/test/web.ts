import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readConfig } from '@tintype/lib/config.ts'
import { listen } from '@tintype/lib/http/listen.ts'
import { openAccount } from '@tintype/lib/photo/account.ts'
import { type FailureReason, photoKey, type ResultRecord } from '@tintype/lib/photo/record.ts'
import { openQueue, type Queue } from '@tintype/lib/queue/index.ts'
import { openStorage, type Storage } from '@tintype/lib/storage/index.ts'
import { observeStorage } from '@tintype/lib/telemetry/calls.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { pick } from '@tintype/lib/variables.ts'
import { onTestFinished } from 'vitest'
import { sampleIn, temporaryFolder } from '../../../test/support.ts'
import { createWebApp } from '../app.ts'
import { openapi } from '../openapi.ts'
import { sweep } from '../sweeper.ts'
import { openWeb, type Web, type WebConfig, webVariables } from '../web.ts'
import { png } from './images.ts'

const config = {
  ...readConfig({ PROBE_TOKEN: 'probe-token', SESSION_SECRET: 'session-secret' }, pick(...webVariables)),
  KEEP_DEAD_LETTERS_DAYS: 1,
  KEEP_KEYS_DAYS: 1,
  KEEP_PHOTOS_DAYS: 0,
  MAX_PIXELS: 1_000_000,
  MAX_UPLOAD_BYTES: 1024 * 1024,
  PROMISE_SECONDS: 60,
  UPLOADS_PER_MINUTE: 1_000,
}

export type Entry = { event: string; session: string | undefined; [fact: string]: unknown }

export type Running = {
  web: Web
  url: string
  entries: Entry[]
  storage: Storage
  queue: Queue
  folder: string
  /** Sends requests of one session (a cookie jar). /openapi.json must list their answers. */
  visitor(): Visitor
  /** The value of a sample; 0 when there is none. */
  sample(name: string): Promise<number>
  drain(): void
}

export type Visitor = {
  cookie(): string
  call(method: string, path: string, init?: RequestInit): Promise<Response>
  post(body: Uint8Array | FormData | ReadableStream, headers?: Record<string, string>): Promise<Response>
}

/** A web in this process with its own storage and queue. `converter`: announces a converter, which converts nothing. */
export async function startWeb(given: Partial<WebConfig> = {}, { converter = true } = {}): Promise<Running> {
  const folder = await temporaryFolder()
  const metrics = createMetrics('web', 'test')
  const entries: Entry[] = []
  const log = memoryLog(entries)
  const observe = observeStorage(metrics, log)
  const storage = await openStorage(`file:${join(folder, 'storage')}`, { observe })
  const queue = await openQueue(`sqlite:${join(folder, 'queue.sqlite')}`)
  const draining = new AbortController()
  const stopped = new AbortController()
  const web = openWeb({
    storage,
    queue,
    metrics,
    log,
    account: openAccount(metrics, log),
    config: { ...config, DATA_DIR: folder, ...given },
    draining: draining.signal,
    stopped: stopped.signal,
  })
  const listening = await listen(createWebApp(web), '127.0.0.1', 0)
  const swept = sweep(web)
  // A converter counts as live for 10 s, and a test may take longer on a busy machine: each is announced again.
  const announced = new Map<string, Parameters<Queue['announce']>[0]>()
  const { announce } = queue
  queue.announce = converter => {
    announced.set(converter.id, converter)
    return announce(converter)
  }
  const announcing = setInterval(() => {
    for (const each of announced.values()) announce(each).catch(() => {})
  }, 3_000)
  if (converter) await queue.announce({ id: 'test', slots: 2, serviceSeconds: 0.1 })
  onTestFinished(async () => {
    clearInterval(announcing)
    draining.abort()
    stopped.abort()
    await listening.close(0)
    await swept
    await queue.close()
    await storage.close()
  })
  return {
    web,
    url: listening.url,
    entries,
    storage,
    queue,
    folder,
    visitor: () => visitor(listening.url),
    sample: async name => (await sampleIn(metrics, name)) || 0,
    drain: () => draining.abort(),
  }
}

function visitor(url: string): Visitor {
  let cookie = ''
  const call: Visitor['call'] = async (method, path, init = {}) => {
    const headers = new Headers(init.headers)
    if (cookie) headers.set('cookie', cookie)
    const response = await fetch(url + path, { ...init, method, headers, redirect: 'manual' })
    cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie
    if (!documented(method, new URL(url + path).pathname, response.status))
      throw new Error(`${method} ${path} gave ${response.status}, which openapi.json does not list`)
    return response
  }
  return {
    cookie: () => cookie,
    call,
    post: (body, headers = {}) => call('POST', '/photos', { body, headers, duplex: 'half' } as RequestInit),
  }
}

function documented(method: string, path: string, status: number): boolean {
  const template = path.replace(/^\/photos\/[^/]+/, '/photos/{id}')
  const paths: Record<string, Record<string, object>> = openapi.paths
  const operation: { responses?: object } =
    paths[template]?.[method.toLowerCase().replace('head', 'get')] ?? {}
  return status in (operation.responses ?? {})
}

function memoryLog(entries: Entry[]): Log {
  const raised = new Map<string | null, number>()
  const write =
    (level: string) =>
    (event: string, payload: object = {}, session?: string) => {
      if (level !== 'debug' || detailed(session)) entries.push({ ...payload, event, session })
    }
  const detailed = (session?: string) =>
    [session ?? null, null].some(scope => (raised.get(scope) ?? 0) > Date.now())
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    detailed,
    setLevel: ({ session, forSeconds }) => void raised.set(session ?? null, Date.now() + forSeconds * 1000),
    level: () => ({
      level: 'info',
      raised: [...raised].map(([session, until]) => ({
        session,
        level: 'debug' as const,
        until: new Date(until).toISOString(),
      })),
    }),
    stalled: () => null,
    unshipped: () => 0,
    close: async () => {},
  }
}

/** Does a converter's work for the next queued photo, without decoding it. */
export async function convertNext({ queue, storage }: Running, failure?: FailureReason): Promise<string> {
  const claim = await queue.claim('test', 60_000, AbortSignal.timeout(30_000))
  if (claim === 'aborted') throw new Error('there was nothing to convert')
  const { owner, photo } = claim.job
  const store = (file: string, body: Buffer) => storage.put(photoKey(owner, photo, file), body)
  const write = (result: ResultRecord) => store('result.json', Buffer.from(JSON.stringify(result)))
  const durableAt = new Date().toISOString()
  if (failure) {
    await write({ state: 'failed', reason: failure, failedAt: durableAt })
    await queue.fail(claim, failure, Date.now())
    return photo
  }
  const bytes = png(4, 4)
  await store('320.jpg', bytes)
  await write({
    state: 'ready',
    thumbnails: [{ side: 320, format: 'jpg', width: 4, height: 4, bytes: bytes.length }],
    durableAt,
    stages: { wait: 0.1, convert: 0.2, store: 0.01 },
  })
  await queue.complete(claim, Date.parse(durableAt))
  return photo
}

/** The keys of all stored files. */
export async function keysOf({ storage }: Running): Promise<string[]> {
  const keys: string[] = []
  for (const prefix of ['photos/', 'keys/']) for await (const key of storage.list(prefix)) keys.push(key)
  return keys
}

/** A photo's bytes in pieces, with a pause between them. */
export function slowly(bytes: Buffer, pieces: number, pauseMs: number): ReadableStream<Uint8Array> {
  const size = Math.ceil(bytes.length / pieces)
  let at = 0
  return new ReadableStream({
    async pull(controller) {
      await sleep(pauseMs)
      controller.enqueue(bytes.subarray(at, at + size))
      at += size
      if (at >= bytes.length) controller.close()
    },
  })
}
