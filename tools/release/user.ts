import { setTimeout as sleep } from 'node:timers/promises'
import { messagesOf } from '@tintype/lib/errors.ts'
import sharp from 'sharp'
import { type Photo, person } from '../../test/client.ts'
import { flawOfThumbnail, quadrantImage } from '../../test/images.ts'
import type { Reason } from './judge.ts'

/** The synthetic user of a release, who visits only the new version, without HAProxy. */
export type User = {
  failedInARow: number
  good: number
  offlineMinutes: number
  failure?: Reason
  stop(): Promise<void>
}

const pauseMs = 2_000
const graceMs = 5_000

/** Makes one journey after the other, at each web in turn: uploads a known photo and checks its thumbnail. */
export async function startUser(webs: readonly string[], probeToken: string): Promise<User> {
  const stopping = new AbortController()
  const image = await quadrantImage({ width: 1600, height: 1200, format: 'jpeg', orientation: 6 })
  const offline = new Set<number>()
  const user: User = { failedInARow: 0, good: 0, offlineMinutes: 0, stop: async () => {} }
  async function walk(): Promise<void> {
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      const why = await journey(webs[turn % webs.length] as string, image, probeToken)
      if (stopping.signal.aborted) return
      if (why === undefined) {
        user.good++
        user.failedInARow = 0
      } else {
        user.failure = { what: why, ...placeOf(why) }
        user.failedInARow++
        user.offlineMinutes = offline.add(Math.floor(Date.now() / 60_000)).size
      }
      await sleep(pauseMs, undefined, stopping).catch(() => {})
    }
  }
  const walking = walk()
  user.stop = async () => {
    stopping.abort()
    await walking
  }
  return user
}

/** Process and stage of a failure: the converter for a bad picture, web for a bad answer. */
export const placeOf = (why: string): Pick<Reason, 'process' | 'stage'> =>
  /thumbnail|picture|upright|photo-(crash|timeout|memory)/.test(why)
    ? { process: 'converter', stage: 'convert' }
    : { process: 'web', stage: 'receive' }

/** Makes a journey. Returns why it failed, or undefined. */
async function journey(web: string, image: Buffer, probeToken: string): Promise<string | undefined> {
  try {
    const someone = person(web)
    const answer = await someone.upload(image, { 'Tintype-Probe': probeToken })
    if (answer.status !== 202) return `the upload was answered ${answer.status}: ${await answer.text()}`
    const { id, acceptedAt, promiseBy } = (await answer.json()) as Photo
    try {
      const photo = await someone.settled(id, Date.parse(promiseBy) - Date.parse(acceptedAt) + graceMs)
      if (photo.state !== 'ready') return `no thumbnail: ${JSON.stringify(photo.reason)}`
      const thumbnail = await someone.request(`/photos/${id}/thumbnail`)
      if (thumbnail.status !== 200) return `the thumbnail was answered ${thumbnail.status}`
      const flaw = await flawOf(Buffer.from(await thumbnail.arrayBuffer()))
      return flaw && `the picture of a known photo is wrong: ${flaw}`
    } finally {
      await someone.request(`/photos/${id}`, { method: 'DELETE' })
    }
  } catch (error) {
    return messagesOf(error)
  }
}

/** Only the shape is compared, because THUMBNAILS sets the size. */
async function flawOf(thumbnail: Buffer): Promise<string | undefined> {
  const { width = 0 } = await sharp(thumbnail).metadata()
  return flawOfThumbnail(thumbnail, { width, height: Math.round((width * 3) / 4) })
}
