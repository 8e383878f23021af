import { Worker } from 'node:worker_threads'
import { crc32, deflateSync } from 'node:zlib'
import sharp, { type Sharp } from 'sharp'
import type { Decoded, Work } from './heic-thread.ts'
import { profileOf } from './nclx.ts'

/**
 * Opens the primary image of a HEIC, decoded and no longer than `side`: libvips has no decoder for HEVC.
 * @param icc its colour profile; without one its nclx numbers count.
 * @param tolerant shows in grey what is missing of a file that breaks off.
 * @throws what libheif says of the bytes.
 */
export async function openHeic(
  bytes: Uint8Array,
  {
    side,
    icc,
    tolerant,
    maxPixels,
  }: { side: number; icc?: Buffer | undefined; tolerant: boolean; maxPixels: number },
): Promise<Sharp> {
  const { pixels, nclx, ...raw } = await decode({ bytes, tolerant, maxPixels })
  const small = sharp(pixels, { raw }).resize(side, side, { fit: 'inside', withoutEnlargement: true })
  const profile = icc ?? (nclx && profileOf(nclx))
  if (!profile) return small
  return sharp(withProfile(await small.png({ compressionLevel: 0 }).toBuffer(), profile))
}

async function decode(work: Work): Promise<Decoded> {
  const thread = new Worker(`${import.meta.dirname}/heic-thread.ts`, { workerData: work })
  try {
    return await new Promise((resolve, reject) => {
      thread.once('message', resolve)
      thread.once('error', reject)
      thread.once('exit', code => reject(new Error(`libheif ended with ${code}`)))
    })
  } finally {
    await thread.terminate()
  }
}

/** Behind a PNG's header, which takes 33 bytes. sharp knows no other way to say what raw pixels mean. */
function withProfile(png: Buffer, profile: Buffer): Buffer {
  const chunk = Buffer.concat([Buffer.from('iCCPphoto\0\0', 'latin1'), deflateSync(profile)])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(chunk.length - 4)
  checksum.writeUInt32BE(crc32(chunk))
  return Buffer.concat([png.subarray(0, 33), length, chunk, checksum, png.subarray(33)])
}
