import { Worker } from 'node:worker_threads'
import { crc32, deflateSync } from 'node:zlib'
import sharp, { type Sharp } from 'sharp'
import type { Decoded, Work } from './heic-thread.ts'

/**
 * Opens the primary image of a HEIC, decoded and no longer than `side` pixels: libvips has no decoder for HEVC. Missing
 * tiles are grey and cause a warning.
 * @param icc its colour profile.
 * @throws libheif's error when no tile can be decoded.
 */
export async function openHeic(
  bytes: Uint8Array,
  icc: Buffer | undefined,
  { side, maxPixels }: { side: number; maxPixels: number },
  warnings: string[],
): Promise<Sharp> {
  const { pixels, warnings: added, ...raw } = await decode({ bytes, maxPixels })
  warnings.push(...added)
  const small = sharp(pixels, { raw }).resize(side, side, { fit: 'inside', withoutEnlargement: true })
  return icc ? sharp(withProfile(await small.png({ compressionLevel: 0 }).toBuffer(), icc)) : small
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

/** Inserts a colour profile after a PNG's header of 33 bytes, because sharp cannot assign a profile to raw pixels. */
function withProfile(png: Buffer, profile: Buffer): Buffer {
  const chunk = Buffer.concat([Buffer.from('iCCPphoto\0\0', 'latin1'), deflateSync(profile)])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(chunk.length - 4)
  checksum.writeUInt32BE(crc32(chunk))
  return Buffer.concat([png.subarray(0, 33), length, chunk, checksum, png.subarray(33)])
}
