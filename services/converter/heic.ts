import { Worker } from 'node:worker_threads'
import { deflateSync } from 'node:zlib'
import { heifProperties } from '@tintype/lib/photo/heif.ts'
import { answerOf } from '@tintype/lib/thread.ts'
import sharp, { type Metadata, type Sharp } from 'sharp'
import type { Decoded, Work } from './heic-thread.ts'
import { withChunk } from './png.ts'

export const box = { fit: 'inside', withoutEnlargement: true } as const

/**
 * Opens the primary image of a HEIC, decoded and no longer than `side` pixels: libvips has no decoder for HEVC. Missing
 * tiles are grey and cause a warning.
 * @param header its header: the size of the upright picture, and its colour profile.
 * @throws libheif's error when no tile can be decoded.
 */
export async function openHeic(
  photo: Buffer,
  { width, height, icc }: Metadata,
  { side, maxPixels }: { side: number; maxPixels: number },
  warnings: string[],
): Promise<Sharp> {
  const bytes = Buffer.from(photo)
  const [x, y] = takeCrop(bytes)
  const { pixels, warnings: added, ...raw } = await decode({ bytes, maxPixels })
  warnings.push(...added)
  const [left = 0, top = 0] = [(raw.width - width) / 2 + x, (raw.height - height) / 2 + y].map(Math.round)
  const small = sharp(pixels, { raw }).extract({ left, top, width, height }).resize(side, side, box)
  return icc ? withProfile(small, icc) : small
}

/**
 * Makes the crop of a HEIC the whole picture: of a picture without tiles libheif decodes no small part (1.23.2, its issue
 * 1856). Returns where the crop's centre is in the upright picture, from the picture's centre.
 */
function takeCrop(heic: Buffer): [x: number, y: number] {
  const properties = heifProperties(heic)
  const types = properties.map(({ type }) => type)
  const [crop, size, turned, mirror] = ['clap', 'ispe', 'irot', 'imir'].map(
    wanted => properties[types.indexOf(wanted)]?.body,
  )
  // The standard's order is crop, turn, mirror. In another order the crop stays libheif's.
  if (!crop || !size || /(irot|imir).*clap/.test(types.join())) return [0, 0]
  let [x = 0, y = 0] = [16, 24].map(at => crop.readInt32BE(at) / crop.readUInt32BE(at + 4))
  const whole = [size.readUInt32BE(4), 1, size.readUInt32BE(8), 1, 0, 1, 0, 1]
  for (const [index, value] of whole.entries()) crop.writeUInt32BE(value, index * 4)
  for (let turns = turned?.[0] ?? 0; turns > 0; turns--) [x, y] = [y, -x]
  return [mirror?.[0] === 1 ? -x : x, mirror?.[0] === 0 ? -y : y]
}

async function decode(work: Work): Promise<Decoded> {
  await using thread = new Worker(`${import.meta.dirname}/heic-thread.ts`, { workerData: work })
  return await answerOf<Decoded>(thread, 'libheif')
}

/**
 * Assigns a colour profile by a PNG, because sharp cannot assign one to raw pixels. libpng ignores profiles that readers of
 * other formats accept: of a grey picture stored as RGB, and with another length than the profile states (Samsung).
 */
export async function withProfile(image: Sharp, profile: Buffer): Promise<Sharp> {
  const coloured = samplesOf(profile) === 'GRAY' ? image.toColourspace('b-w') : image
  const png = await coloured.png({ compressionLevel: 0 }).toBuffer()
  const padded = Buffer.concat([profile, Buffer.alloc(4 - (profile.length % 4))])
  padded.writeUInt32BE(padded.length)
  return sharp(withChunk(png, 'iCCP', Buffer.concat([Buffer.from('photo\0\0'), deflateSync(padded)])))
}

/** The samples that a profile describes: `GRAY`, `RGB `, `CMYK`, `Lab ` or `XYZ `. Empty without a profile. */
export const samplesOf = (profile?: Buffer): string => profile?.toString('latin1', 16, 20) ?? ''

/** Whether libvips reads a grey AVIF as RGB, to which its profile does not apply. */
export const isGreyAvif = ({ compression, icc }: Metadata): boolean =>
  compression === 'av1' && samplesOf(icc) === 'GRAY'
