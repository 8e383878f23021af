/**
 * A person's journey, for k6: upload a photo, look until the thumbnail is ready, fetch it. Settings come as JSON from
 * main.ts (k6 reads no YAML): the address, the promise, the arrivals and the photos with their weights.
 */
import { check, sleep } from 'k6'
import { SharedArray } from 'k6/data'
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter, Rate, Trend } from 'k6/metrics'

type Settings = {
  url: string
  promiseSeconds: number
  stages: { duration: string; target: number }[]
  maxUsers: number
  thresholds: Record<string, string[]>
  photos: { file: string; weight: number; contentType: string }[]
  summaryFile: string
}

const settings = JSON.parse(open(__ENV.SETTINGS ?? '')) as Settings
const bodies = settings.photos.map(photo => open(photo.file, 'b'))
/** Each photo's index as often as its weight: a draw is a look-up. */
const draws = new SharedArray('draws', () =>
  settings.photos.flatMap((photo, index) => Array(photo.weight).fill(index)),
)

/** Kept: the thumbnail within the promise. A photo shed or failed by us is not kept either, for the person. */
const kept = new Rate('promise_kept')
const shed = new Counter('photos_shed')
const ready = new Trend('photo_ready_seconds')
const uploaded = new Trend('upload_seconds')

export const options = {
  scenarios: {
    journey: {
      executor: 'ramping-arrival-rate',
      startRate: settings.stages[0]?.duration === '0s' ? settings.stages[0].target : 0,
      timeUnit: '1s',
      preAllocatedVUs: settings.maxUsers,
      maxVUs: settings.maxUsers,
      stages: settings.stages,
      gracefulStop: `${Math.ceil(settings.promiseSeconds) + 10}s`,
    },
  },
  thresholds: settings.thresholds,
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max', 'count'],
  discardResponseBodies: false,
}

/** People look often at first, then less. */
const firstLookSeconds = 0.2
const maxLookSeconds = 2

export function journey(): void {
  const drawn = draws[pseudoRandom(exec.scenario.iterationInTest) % draws.length]
  const photo = settings.photos[drawn] as Settings['photos'][number]
  const body = bodies[drawn]
  const start = Date.now()
  const accepted = http.post(`${settings.url}/photos`, body, {
    headers: { 'Content-Type': photo.contentType },
    tags: { name: 'POST /photos', stage: 'receive' },
    timeout: `${settings.promiseSeconds}s`,
  })
  uploaded.add((Date.now() - start) / 1000)
  if (accepted.status === 503) shed.add(1)
  if (!check(accepted, { accepted: response => response.status === 202 })) return void kept.add(false)
  const { links, promiseBy } = accepted.json() as {
    links: { self: string; thumbnail: string }
    promiseBy: string
  }
  const state = waitUntilSettled(absolute(links.self), Date.parse(promiseBy))
  if (state !== 'ready') return void kept.add(false)
  ready.add((Date.now() - start) / 1000)
  const thumbnail = http.get(absolute(links.thumbnail), {
    tags: { name: 'GET thumbnail', stage: 'deliver' },
    responseType: 'binary',
  })
  kept.add(check(thumbnail, { thumbnail: response => response.status === 200 }))
}

function waitUntilSettled(address: string, promiseByMs: number): string {
  for (let look = firstLookSeconds; ; look = Math.min(look * 1.5, maxLookSeconds)) {
    const photo = http.get(address, { tags: { name: 'GET /photos/{id}', stage: 'wait' } })
    const state = photo.status === 200 ? (photo.json('state') as string) : 'away'
    if (state === 'ready' || state === 'failed') return state
    if (Date.now() > promiseByMs) return 'late'
    sleep(look)
  }
}

const absolute = (link: string): string => (link.startsWith('/') ? settings.url + link : link)

/** The same photos in the same order in each run: Knuth's multiplicative hash of the iteration. */
const pseudoRandom = (n: number): number => ((n + 1) * 2654435761) % 4294967296

export function handleSummary(data: unknown): Record<string, string> {
  return { [settings.summaryFile]: JSON.stringify(data) }
}

export default journey
