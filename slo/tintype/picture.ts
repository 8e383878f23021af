import { readFileSync } from 'node:fs'

/** The probe's photo: a JPEG of 64 × 48 pixels, 443 bytes. */
export const picture = readFileSync(new URL('picture.jpg', import.meta.url))

const signatures = [
  { type: 'image/jpeg', at: 0, bytes: 'ffd8ff' },
  { type: 'image/png', at: 0, bytes: '89504e470d0a1a0a' },
  { type: 'image/webp', at: 8, bytes: '57454250' },
  { type: 'image/avif', at: 4, bytes: '66747970' },
]

/** Whether a body begins as its content type does: an error page sent as 200 is no thumbnail. */
export const isPicture = (contentType: string | undefined, body: Buffer): boolean =>
  signatures.some(
    ({ type, at, bytes }) =>
      contentType?.startsWith(type) && body.toString('hex', at, at + bytes.length / 2) === bytes,
  )
