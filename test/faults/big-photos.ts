import sharp from 'sharp'

/** Decodes whole, whatever the thumbnail's size: 36 megabytes of pixels and the same again for the passes. */
export const interlacedPng = (): Promise<Buffer> =>
  sharp({ create: { width: 5000, height: 4000, channels: 3, background: '#704214' } })
    .png({ progressive: true })
    .toBuffer()
