import { spawnSync } from 'node:child_process'
import type { Picture } from './photos.ts'

/** Calls with the indices below `count`, so many at once. `eachMs` in the order of their ends. */
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

/** Uploads a photo and waits until its thumbnail is durable. It sends no cookie, so each upload opens a new session. */
export async function upload(address: string, { bytes, record }: Picture): Promise<void> {
  const answer = await fetch(`${address}/photos`, {
    method: 'POST',
    headers: { 'Content-Type': `image/${record.format}`, Prefer: 'wait=60' },
    body: new Uint8Array(bytes),
  })
  const body = await answer.text()
  if (answer.status !== 201) throw new Error(`POST ${address}/photos answered ${answer.status}: ${body}`)
}

/** What was written before must not be flushed to disk in the middle of what is measured. */
export const settleDisk = () => spawnSync('sync')

/** A in the first of two rounds before B, in the second after it: a drift of the machine's speed favours neither. */
export async function alternating<A, B>(
  round: number,
  a: () => Promise<A>,
  b: () => Promise<B>,
): Promise<[A, B]> {
  if (round % 2 === 0) return [await a(), await b()]
  const second = await b()
  return [await a(), second]
}
