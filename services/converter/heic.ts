import { Worker } from 'node:worker_threads'
import { crc32, deflateSync } from 'node:zlib'
import { answerOf } from '@tintype/lib/thread.ts'
import sharp, { type Sharp } from 'sharp'
import type { Decoded, Work } from './heic-thread.ts'

/** How a photo is resized into a square. */
export const box = { fit: 'inside', withoutEnlargement: true } as const

/**
 * Opens the primary image of a HEIC, decoded and no longer than `side` pixels: libvips has no decoder for HEVC. Missing
 * tiles are grey and cause a warning.
 * @param icc its colour profile.
 * @throws libheif's error when no tile can be decoded.
 */
export async function openHeic(
  bytes: Buffer,
  icc: Buffer | undefined,
  { side, maxPixels }: { side: number; maxPixels: number },
  warnings: string[],
): Promise<Sharp> {
  const { pixels, warnings: added, ...raw } = await decode({ bytes, maxPixels })
  warnings.push(...added)
  const small = sharp(pixels, { raw }).resize(side, side, box)
  return icc ? withProfile(small, icc) : small
}

async function decode(work: Work): Promise<Decoded> {
  const thread = new Worker(`${import.meta.dirname}/heic-thread.ts`, { workerData: work })
  try {
    return await answerOf<Decoded>(thread, 'libheif')
  } finally {
    await thread.terminate()
  }
}

/** Inserts a colour profile after a PNG's header of 33 bytes, because sharp cannot assign one to raw pixels. */
async function withProfile(image: Sharp, profile: Buffer): Promise<Sharp> {
  const png = await image.png({ compressionLevel: 0 }).toBuffer()
  const chunk = Buffer.concat([Buffer.from('iCCPphoto\0\0', 'latin1'), deflateSync(profile)])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(chunk.length - 4)
  checksum.writeUInt32BE(crc32(chunk))
  return sharp(Buffer.concat([png.subarray(0, 33), length, chunk, checksum, png.subarray(33)]))
}
