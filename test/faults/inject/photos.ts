import sharp from 'sharp'
import { photo } from '../../images.ts'

/** Decodes whole, whatever the thumbnail's size: 90 megabytes of pixels. */
export const interlacedPng = (): Promise<Buffer> =>
  sharp({ create: { width: 6000, height: 5000, channels: 3, background: '#704214' } })
    .png({ progressive: true })
    .toBuffer()

/** Half the pixels of an everyday JPEG, and several times the time to decode. */
export const avif = async (): Promise<Buffer> =>
  sharp(await photo(3000, 2000, 3))
    .avif({ effort: 0 })
    .toBuffer()
