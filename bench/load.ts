import { spawnSync } from 'node:child_process'
import { askBounded } from '@tintype/lib/http/bounded-request.ts'
import type { Picture } from './photos.ts'

/** Calls `act` for the indices below `count`, `lanes` at a time. `eachMs` is in the order in which calls ended. */
export async function atOnce(
  lanes: number,
  count: number,
  act: (index: number) => Promise<unknown>,
): Promise<{ seconds: number; eachMs: number[] }> {
  const eachMs: number[] = []
  let next = 0
  const lane = async () => {
    for (let index = next++; index < count; index = next++) {
      const begun = performance.now()
      await act(index)
      eachMs.push(performance.now() - begun)
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: lanes }, lane))
  return { seconds: (performance.now() - start) / 1000, eachMs }
}

/** Longer than any upload takes. */
const uploadMs = 120_000

/**
 * Uploads a photo and waits until its thumbnail is durable. Without a cookie each upload begins a new session. Not by
 * fetch, which copies the photo: the garbage collection in this process would delay some of the uploads by 20 ms.
 */
export async function upload(address: string, { bytes, record }: Picture): Promise<void> {
  const { status, body } = await askBounded(`${address}/photos`, {
    headers: { 'Content-Type': `image/${record.format}`, Prefer: 'wait=60' },
    body: bytes,
    signal: AbortSignal.timeout(uploadMs),
    maxMiB: 1,
  })
  if (status !== 201) throw new Error(`POST ${address}/photos answered ${status}: ${body}`)
}

/** Flushes earlier writes to disk, so that this does not happen during a measurement. */
export const settleDisk = () => spawnSync('sync')

/** Runs A before B in the first of two rounds and after it in the second: a drift of the machine favours neither. */
export async function alternating<A, B>(
  round: number,
  a: () => Promise<A>,
  b: () => Promise<B>,
): Promise<[A, B]> {
  if (round % 2 === 0) return [await a(), await b()]
  const second = await b()
  return [await a(), second]
}
