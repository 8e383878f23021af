/**
 * A person's journey, for k6: uploads a photo, looks until the thumbnail is ready and fetches it. k6.ts passes settings
 * as JSON, because k6 reads no YAML: the address, the promise, the arrivals and the photos with their weights.
 */
import { check, sleep } from 'k6'
import { SharedArray } from 'k6/data'
import exec from 'k6/execution'
import { type File, open as openShared, SeekMode } from 'k6/experimental/fs'
import http from 'k6/http'
import { Counter, Rate, Trend } from 'k6/metrics'

type Settings = {
  url: string
  promiseSeconds: number
  timeUnit: string
  stages: { duration: string; target: number }[]
  users: number
  thresholds: Record<string, string[]>
  photos: { file: string; bytes: number; weight: number; contentType: string }[]
  summaryFile: string
}

const settings = JSON.parse(open(__ENV.SETTINGS ?? '')) as Settings
/** Shared by all users: with k6's open() each would have a copy of every photo, 6 MB a user. */
const files: File[] = []
;(async () => {
  for (const { file } of settings.photos) files.push(await openShared(file))
})()
/** Each photo's index repeated by its weight, so that a draw is a look-up. */
const draws = new SharedArray('draws', () =>
  settings.photos.flatMap((photo, index) => Array(photo.weight).fill(index)),
)

/** Share of journeys whose thumbnail came within the promise. A photo that was shed or failed is not kept. */
const kept = new Rate('promise_kept')
/** Journeys begun. One that is interrupted by the end of the run is not kept, although k6 does not count it. */
const journeys = new Counter('journeys')
const shed = new Counter('photos_shed')
/** Uploads over the rate of one address, which all of k6's users share. */
const limited = new Counter('photos_limited')
const ready = new Trend('photo_ready_seconds')
const stageSeconds = new Trend('stage_seconds')
/** When thumbnails were durable, in seconds since arrivals began. */
const done = new Trend('done_seconds')

export const options = {
  scenarios: {
    journey: {
      executor: 'ramping-arrival-rate',
      startRate: settings.stages[0]?.duration === '0ms' ? settings.stages[0].target : 0,
      timeUnit: settings.timeUnit,
      preAllocatedVUs: settings.users,
      stages: settings.stages,
      gracefulStop: `${Math.ceil(settings.promiseSeconds) + 10}s`,
    },
  },
  thresholds: settings.thresholds,
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  /** Load must only go to the address that was checked. */
  maxRedirects: 0,
}

/** Printed when all users exist and arrivals begin; k6.ts waits for it. */
export const setup = (): void => console.log('arrivals begin')

/** People look often at first, then less often. */
const firstLookSeconds = 0.2
const maxLookSeconds = 2

type Accepted = { links: { self: string; thumbnail: string }; acceptedAt: string; promiseBy: string }
/** `kept`: the service's own count, by its own clock. */
type Seen = { state: string; kept?: boolean; stages: Record<string, number> }

export default async function journey(): Promise<void> {
  const drawn = draws[pseudoRandom(exec.scenario.iterationInTest) % draws.length]
  const body = await bytesOf(drawn)
  const start = Date.now()
  journeys.add(1)
  const accepted = http.post(`${settings.url}/photos`, body, {
    headers: { 'Content-Type': settings.photos[drawn]?.contentType ?? '' },
    tags: { name: 'POST /photos', stage: 'receive' },
    timeout: `${settings.promiseSeconds}s`,
  })
  // So many are under way at once only when the service receives too slowly.
  const isFull = String(accepted.body).includes('too-many-at-once')
  if (accepted.status === 503 || isFull) shed.add(1)
  else if (accepted.status === 429) limited.add(1)
  if (!check(accepted, { accepted: response => response.status === 202 })) return void kept.add(false)
  const answeredAt = Date.now()
  const { links, acceptedAt, promiseBy } = accepted.json() as Accepted
  // Both are times of the service's clock, which may differ from this machine's.
  const promiseMs = Date.parse(promiseBy) - Date.parse(acceptedAt)
  const photo = waitUntilSettled(settings.url + links.self, answeredAt + promiseMs)
  if (photo?.state !== 'ready' || photo.kept === false) return void kept.add(false)
  ready.add((Date.now() - start) / 1000)
  for (const [stage, seconds] of Object.entries(photo.stages)) stageSeconds.add(seconds, { stage })
  const { wait = 0, convert = 0, store = 0 } = photo.stages
  done.add((answeredAt - exec.scenario.startTime) / 1000 + wait + convert + store)
  const thumbnail = http.get(settings.url + links.thumbnail, {
    tags: { name: 'GET thumbnail', stage: 'deliver' },
    responseType: 'none',
  })
  kept.add(check(thumbnail, { thumbnail: response => response.status === 200 }))
}

async function bytesOf(photo: number): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(settings.photos[photo]?.bytes ?? 0)
  await files[photo]?.seek(0, SeekMode.Start)
  await files[photo]?.read(bytes)
  return bytes.buffer
}

function waitUntilSettled(address: string, untilMs: number): Seen | undefined {
  for (let look = firstLookSeconds; Date.now() < untilMs; look = Math.min(look * 1.5, maxLookSeconds)) {
    sleep(look)
    const response = http.get(address, { tags: { name: 'GET /photos/{id}', stage: 'wait' } })
    const photo = response.status === 200 ? (response.json() as Seen) : undefined
    if (photo?.state === 'ready' || photo?.state === 'failed') return photo
  }
}

/** Gives the same photos in the same order in each run: Knuth's multiplicative hash of the iteration. */
const pseudoRandom = (n: number): number => ((n + 1) * 2654435761) % 4294967296

export function handleSummary(data: unknown): Record<string, string> {
  return { [settings.summaryFile]: JSON.stringify(data) }
}
