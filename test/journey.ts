import assert from 'node:assert/strict'
import { readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { base } from '@tintype/lib/config.ts'
import { errorCode } from '@tintype/lib/errors.ts'
import { stopThenAtOnce } from '@tintype/lib/terminal.ts'
import { type Person, type Photo, person, type ServerEvent } from './client.ts'
import { quadrantHeic } from './heif.ts'
import { flawOfThumbnail, type ImageFormat, pngHead, quadrantImage } from './images.ts'

const usage = `npm run journey -- URL

A person's whole journey against any address: local, scaled or remote. Needs nothing of the service but its public
HTTP, and leaves no photo behind. Ctrl-C deletes the photos after the current step; a second Ctrl-C ends at once.
Example: npm run journey -- http://127.0.0.1:8080
Exit status: 0 every step succeeded, 1 a step failed or Ctrl-C, 2 bad arguments.`

type Size = { width: number; height: number }

/** Each step may use the results of earlier ones. */
type Walk = {
  address: string
  isShort: boolean
  someone: Person
  image: Buffer
  photo: Photo
  ready: Promise<ServerEvent>
}

/** The promise, and some time for the answers. */
const patienceMs = 65_000

const steps: [title: string, take: (walk: Walk) => Promise<void>][] = [
  ['opens the page', opensPage],
  ['uploads a phone photo that lies on its side', uploadsPhoto],
  ['receives an event about it', hearsOfIt],
  ['sees it ready within the minute, with the time of each stage', seesItReady],
  ['sees the thumbnail upright, without metadata, cacheable', seesThumbnail],
  ['gets the original back, byte for byte', getsOriginal],
  ['uploads by a form and waits for the answer', uploadsByForm],
  ['sees every orientation upright', seesOrientations],
  ['uploads HEIC, PNG, WebP, GIF, AVIF and TIFF', uploadsFormats],
  ['repeats an upload and has one photo', repeatsUpload],
  ['finds the photos in the list, newest first', listsPhotos],
  ['is refused with a reason', isRefused],
  ['learns that a photo is damaged', learnsOfDamage],
  ['keeps the photos from everybody else', keepsApart],
  ['deletes the photos', deletesPhotos],
]

async function opensPage({ someone }: Walk): Promise<void> {
  const api = await someone.request('/openapi.json')
  // A page's server may answer every address with the page.
  const isFound = api.status === 200 && /json/.test(api.headers.get('content-type') ?? '')
  assert.ok(isFound, 'this is not the address of web: it has no /openapi.json')
  assert.match(((await api.json()) as { openapi: string }).openapi, /^3\.1/)
  const page = await someone.request('/')
  assert.equal(page.status, 200)
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/)
  assert.match(await page.text(), /<title>[^<]*Tintype/)
  assert.ok([200, 404].includes((await someone.request('/status.json')).status))
}

async function uploadsPhoto(walk: Walk): Promise<void> {
  const { someone } = walk
  walk.image = await quadrantImage({ width: 1600, height: 1200, format: 'jpeg', orientation: 6 })
  await someone.request('/photos')
  assert.match(someone.cookie ?? '', /^tintype_session=./, 'first contact sets the session cookie')
  const stream = await someone.events(AbortSignal.timeout(patienceMs))
  walk.ready = firstReady(stream)
  walk.ready.catch(() => {}) // looked at in the next step
  const answer = await someone.upload(walk.image)
  assert.equal(answer.status, 202, await answer.clone().text())
  walk.photo = (await answer.json()) as Photo
  // A proxy may add its prefix.
  assert.ok(answer.headers.get('location')?.endsWith(`/photos/${walk.photo.id}`), 'its Location is the photo')
  // The service's clock may differ from this machine's, and a proxy may set Date by its own.
  const { acceptedAt, promiseBy } = walk.photo
  assert.ok(Date.parse(promiseBy) > Date.parse(acceptedAt), `promised by ${promiseBy}`)
}

async function firstReady(stream: AsyncIterable<ServerEvent>): Promise<ServerEvent> {
  for await (const event of stream) if (event.data.state === 'ready') return event
  throw new Error('the stream of events ended without one that says ready')
}

async function hearsOfIt({ photo, ready }: Walk): Promise<void> {
  assert.equal((await ready).data.id, photo.id)
}

async function seesItReady(walk: Walk): Promise<void> {
  walk.photo = await walk.someone.settled(walk.photo.id, patienceMs)
  assert.equal(walk.photo.state, 'ready')
  assert.equal(walk.photo.kept, true)
  for (const stage of ['receive', 'wait', 'convert', 'store'])
    assert.ok((walk.photo.stages[stage] ?? -1) >= 0, `stage ${stage} has its seconds`)
}

async function seesThumbnail({ someone, photo }: Walk): Promise<void> {
  const path = `/photos/${photo.id}/thumbnail`
  const thumbnail = await someone.request(path)
  assert.equal(thumbnail.status, 200)
  assert.match(thumbnail.headers.get('cache-control') ?? '', /immutable/)
  const etag = thumbnail.headers.get('etag') ?? ''
  // Node's fetch adds no-cache to a conditional request unless Cache-Control is given, as a browser gives it.
  const again = { 'If-None-Match': etag, 'Cache-Control': 'max-age=0' }
  assert.equal((await someone.request(path, { headers: again })).status, 304)
  const size = thumbnailSize(photo, { width: 1600, height: 1200 })
  assert.equal(await flawOfThumbnail(await bytesOf(thumbnail), size), undefined)
}

/** The size of a photo's default thumbnail, which THUMBNAILS decides. It is not larger than the photo. */
function thumbnailSize({ thumbnails: [made] = [] }: Photo, { width, height }: Size): Size {
  const share = Math.min(1, (made?.side ?? 0) / Math.max(width, height))
  return { width: Math.round(width * share), height: Math.round(height * share) }
}

async function getsOriginal({ someone, photo, image }: Walk): Promise<void> {
  const original = await someone.request(`/photos/${photo.id}/original`)
  assert.equal(original.status, 200)
  assert.ok((await bytesOf(original)).equals(image), 'the original has changed')
}

async function uploadsByForm({ someone }: Walk): Promise<void> {
  const form = new FormData()
  form.set('photo', new Blob([new Uint8Array(await quadrant('png'))]), 'holiday.png')
  await expectUpright(someone, form)
}

async function seesOrientations({ someone }: Walk): Promise<void> {
  for (let orientation = 1; orientation <= 8; orientation++)
    await expectUpright(someone, await quadrant('jpeg', orientation))
}

async function uploadsFormats({ someone }: Walk): Promise<void> {
  for (const format of ['png', 'webp', 'gif', 'avif', 'tiff'] as const)
    await expectUpright(someone, await quadrant(format))
  await expectUpright(someone, quadrantHeic(2, true), { width: 256, height: 128 })
}

const quadrant = (format: ImageFormat, orientation = 1) =>
  quadrantImage({ width: 400, height: 300, format, orientation })

async function expectUpright(
  someone: Person,
  image: Buffer | FormData,
  size = { width: 400, height: 300 },
): Promise<void> {
  const answer = await someone.upload(image, { Prefer: 'wait=60' })
  assert.equal(answer.status, 201, await answer.clone().text())
  const photo = (await answer.json()) as Photo
  const thumbnail = await bytesOf(await someone.request(`/photos/${photo.id}/thumbnail`))
  assert.equal(await flawOfThumbnail(thumbnail, thumbnailSize(photo, size)), undefined)
}

async function repeatsUpload({ someone, image }: Walk): Promise<void> {
  const headers = { 'Idempotency-Key': crypto.randomUUID() }
  const first = await someone.upload(image, headers)
  const again = await someone.upload(image, headers)
  assert.equal(((await again.json()) as Photo).id, ((await first.json()) as Photo).id)
  const other = await someone.upload(await quadrant('png'), headers)
  assert.equal(other.status, 409, 'the same key with another photo')
}

async function listsPhotos({ someone, photo, isShort }: Walk): Promise<void> {
  const photos = await everyPhoto(someone)
  const times = photos.map(({ acceptedAt }) => acceptedAt)
  assert.deepEqual(times, times.toSorted().reverse())
  assert.equal(photos.length, isShort ? 3 : 17)
  assert.equal(photos.at(-1)?.id, photo.id)
}

async function everyPhoto(someone: Person): Promise<Photo[]> {
  const found: Photo[] = []
  for (let path: string | null = '/photos'; path; ) {
    const page = (await (await someone.request(path)).json()) as { photos: Photo[]; next: string | null }
    found.push(...page.photos)
    path = page.next
  }
  return found
}

async function isRefused({ someone }: Walk): Promise<void> {
  const refused: [string, Buffer, number][] = [
    ['an empty body', Buffer.alloc(0), 400],
    ['a text', Buffer.from('This is no picture at all, only a line of text.'), 415],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 415],
    ['a PNG of 60,000 × 60,000 pixels', pngHead(60_000, 60_000), 422],
  ]
  for (const [what, body, status] of refused) {
    const answer = await someone.upload(body)
    assert.equal(answer.status, status, what)
    assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/, what)
    const problem = (await answer.json()) as { type: string; detail: string }
    assert.ok(problem.type && problem.detail, `${what}: the problem has a type and a detail`)
  }
  assert.equal((await someone.request('/photos/0123')).status, 404)
}

async function learnsOfDamage({ someone }: Walk): Promise<void> {
  const answer = await someone.upload(pngHead(100, 100), { Prefer: 'wait=60' })
  assert.equal(answer.status, 422, await answer.clone().text())
  const [{ id, state, reason } = assert.fail('no photo')] = await everyPhoto(someone)
  assert.equal(state, 'failed')
  assert.ok(JSON.stringify(reason).length > 20, 'a reason that a person understands')
  assert.equal((await someone.request(`/photos/${id}/thumbnail`)).status, 410)
}

async function keepsApart({ address, photo }: Walk): Promise<void> {
  const stranger = person(address)
  assert.equal((await everyPhoto(stranger)).length, 0)
  for (const path of ['', '/thumbnail', '/original'])
    assert.equal((await stranger.request(`/photos/${photo.id}${path}`)).status, 404)
  assert.equal((await stranger.request(`/photos/${photo.id}`, { method: 'DELETE' })).status, 404)
}

async function deletesPhotos({ someone, photo }: Walk): Promise<void> {
  await removeAll(someone)
  assert.equal((await someone.request(`/photos/${photo.id}`)).status, 404)
  assert.equal((await everyPhoto(someone)).length, 0)
}

async function removeAll(someone: Person): Promise<void> {
  for (const { id } of await everyPhoto(someone)) {
    const { status } = await someone.request(`/photos/${id}`, { method: 'DELETE' })
    assert.ok(status === 200 || status === 204, `DELETE answered ${status}`)
  }
}

const bytesOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer())

/** What a converter makes of a photo does not depend on where queue and storage are. */
const ofConverter = [seesOrientations, uploadsFormats]

/**
 * Walks all steps, without those `ofConverter` when it is short. A step that fails ends the journey, and so does the signal,
 * after the current step; then its photos are deleted.
 * @throws Error naming the step, with its cause.
 */
export async function journey(
  address: string,
  tell: (line: string) => void = () => {},
  isShort = false,
  signal?: AbortSignal,
): Promise<void> {
  const walk = { address, isShort, someone: person(address) } as Walk
  for (const [title, take] of steps.filter(([, take]) => !(isShort && ofConverter.includes(take)))) {
    const start = performance.now()
    const took = () => `${((performance.now() - start) / 1000).toFixed(2)} s`
    try {
      signal?.throwIfAborted()
      await take(walk)
      tell(`✓ ${title} (${took()})`)
    } catch (cause) {
      const { message } = cause as Error
      const reason = errorCode(cause) ?? ((cause as Error).cause as Error | undefined)?.message
      const why = message === 'fetch failed' ? `no answer from ${new URL(address).host} (${reason})` : message
      tell(`✗ ${title} (${took()}): ${why}`)
      await removeAll(walk.someone).catch(() => {})
      throw new Error(`a person ${title}: ${why}`, { cause })
    }
  }
}

async function main(args: string[]): Promise<number> {
  const [address, ...more] = readArguments(args, {}, true).positionals
  if (!address || more.length > 0) throw new UsageError('it takes one address')
  if (!base.parse(address)) throw new UsageError(`"${address}" is not an http(s) address without ? and #`)
  const stopping = new AbortController()
  const stop = stopThenAtOnce(
    async (signal: string) => stopping.abort(new Error(`stopped by ${signal}`)),
    () => process.exit(1),
  )
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
  return journey(address, console.log, false, stopping.signal).then(
    () => 0,
    () => 1,
  )
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => main(args))
}
