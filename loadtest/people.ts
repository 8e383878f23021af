/**
 * People for k6: each has a separate browser, uploads one photo after the other and looks until the thumbnail is
 * there. HAProxy reports which version answered; failed requests and broken promises are counted for that version.
 */
import { sleep } from 'k6'
import http, { type RefinedResponse } from 'k6/http'
import { Counter } from 'k6/metrics'

const photo = open(__ENV.PHOTO ?? '', 'b')
const failed = new Counter('failed')
const broken = new Counter('broken')
const kept = new Counter('kept')
const flips = new Counter('flips')

const versions = ['blue', 'green', 'none']

export const options = {
  scenarios: {
    people: { executor: 'per-vu-iterations', vus: Number(__ENV.PEOPLE), iterations: 1, maxDuration: '2h' },
  },
  // The summary contains a tagged count only if a threshold names it.
  thresholds: Object.fromEntries(
    ['failed', 'broken', 'kept'].flatMap(name =>
      versions.map(version => [`${name}{version:${version}}`, ['count>=0']]),
    ),
  ),
}

/** The backend that last answered this person. */
let last = ''

function seen(response: RefinedResponse<'text'>, expected: number[]): boolean {
  const by = response.headers['Tintype-Served-By'] ?? 'none'
  const version = by.split('/')[0] ?? by
  if (last !== '' && version !== last) flips.add(1, { version })
  last = version
  if (expected.includes(response.status)) return true
  failed.add(1, { version })
  console.error(
    `failed ${version} ${response.request.method} ${response.url} ${response.status} ${response.error} ${response.body}`,
  )
  return false
}

/** Continues until the drill ends: a person that is interrupted would look like a failure. */
export default function person(): void {
  while (http.get(`${__ENV.CONTROL}`).status === 200) upload()
}

function upload(): void {
  const headers = { 'Content-Type': 'image/jpeg' }
  const answer = http.post(`${__ENV.ADDRESS}/photos`, photo, {
    headers,
    timeout: '70s',
  }) as RefinedResponse<'text'>
  if (!seen(answer, [202])) {
    sleep(1)
    return
  }
  const version = last
  const { links, promiseBy } = answer.json() as {
    links: { self: string; thumbnail: string }
    promiseBy: string
  }
  for (let state = ''; state !== 'ready'; ) {
    sleep(0.2)
    const view = http.get(`${__ENV.ADDRESS}${links.self}`) as RefinedResponse<'text'>
    if (seen(view, [200])) state = (view.json() as { state: string }).state
    if (state === 'failed' || Date.now() > Date.parse(promiseBy) + 1_000) {
      broken.add(1, { version })
      console.error(`broken ${version} ${links.self} ${view.body}`)
      return
    }
  }
  kept.add(1, { version })
  seen(http.get(`${__ENV.ADDRESS}${links.thumbnail}`) as RefinedResponse<'text'>, [200])
  sleep(Number(__ENV.PAUSE ?? '0.3'))
}

export const handleSummary = (data: unknown): Record<string, string> => ({
  [__ENV.SUMMARY ?? 'summary.json']: JSON.stringify(data),
})
