import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { ownerPrefix } from '@tintype/lib/photo/record.ts'
import sharp from 'sharp'
import { photo } from '../test/images.ts'
import { startFloor } from './floor.ts'
import { alternating, settleDisk } from './load.ts'
import { readyPhoto } from './photos.ts'
import { digits, estimateRatio, type Row, row } from './rows.ts'
import type { Bench } from './run.ts'
import { startWeb } from './web/alone.ts'
import { requestOf, requestsPerSecond } from './web/client.ts'

const full = { rounds: 8, gets: 5_000, uploads: 200 }
const small = { rounds: 3, gets: 300, uploads: 20 }
const connections = 8

/**
 * Requests a second of web and of a bare node:http server that reads and writes the same files (bench/floor/server.ts),
 * in turns. Neither has a converter: uploads wait in the queue.
 */
export async function web(bench: Bench): Promise<Row[]> {
  const { quick, folder, progress, onEnd } = bench
  const sizes = quick ? small : full
  const ours = await startWeb(bench, 'data')
  const { child, address } = await startFloor(join(folder, 'floor'), 0)
  onEnd(() => child.kill())
  // A photo of 800 KB. Both servers send its thumbnail.
  const bytes = await photo(2_140, 1_600, 1)
  const thumbnail = await sharp(bytes).resize(320).jpeg().toBuffer()
  const record = { format: 'jpeg', width: 2_140, height: 1_600 } as const
  const id = await readyPhoto(ours, { bytes, record }, thumbnail)
  const prefix = ownerPrefix(ours.owner)
  await cp(join(ours.dataDir, 'storage', prefix, id), join(folder, 'floor', id), { recursive: true })

  const Cookie = ours.cookie
  const path = `/photos/${id}`
  const etag = async (at: string) => {
    const answer = await fetch(`${at}${path}/thumbnail`, { headers: { Cookie } })
    await answer.arrayBuffer()
    return { 'If-None-Match': answer.headers.get('etag') ?? '' }
  }
  const held = { ours: await etag(ours.address), bare: await etag(address) }
  const gets = { connections, count: sizes.gets }
  const uploads = { connections, count: sizes.uploads }
  const post = requestOf('POST', '/photos', { Cookie, 'Content-Type': 'image/jpeg' }, bytes)
  const get = (what: string, more = {}) => requestOf('GET', `${path}${what}`, { Cookie, ...more })
  const same = (request: Buffer) => ({ ours: request, bare: request })
  const kinds = {
    view: { requests: same(get('')), status: 200, load: gets, goal: '>= 0.7' },
    held: {
      requests: { ours: get('/thumbnail', held.ours), bare: get('/thumbnail', held.bare) },
      status: 304,
      load: gets,
      goal: '>= 0.7',
    },
    thumbnail: { requests: same(get('/thumbnail')), status: 200, load: gets, goal: '>= 0.7' },
    upload: { requests: same(post), status: 202, load: uploads, goal: '>= 0.9' },
  }
  const rows: Row[] = []
  for (const [kind, { requests, status, load, goal }] of Object.entries(kinds)) {
    const pairs: { ours: number; bare: number }[] = []
    for (let round = 0; round <= sizes.rounds; round++) {
      settleDisk()
      const [perSecond, bare] = await alternating(
        round,
        () => requestsPerSecond(ours.address, requests.ours, status, load),
        () => requestsPerSecond(address, requests.bare, status, load),
      )
      if (round > 0) pairs.push({ ours: perSecond, bare })
    }
    const last = pairs.at(-1)
    progress(
      `${kind}: ${digits(last?.ours ?? 0)}/s in the last round, the bare server ${digits(last?.bare ?? 0)}/s`,
    )
    rows.push(row(`web.${kind}`, estimateRatio(pairs.map(({ ours, bare }) => ours / bare)), 'ratio', goal))
  }
  return rows
}
