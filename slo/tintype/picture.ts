import { readFileSync } from 'node:fs'

/** The probe's photo: a JPEG of 64 × 48 pixels, 443 bytes. */
export const picture = readFileSync(new URL('picture.jpg', import.meta.url))

const beginnings: Readonly<Record<string, RegExp>> = {
  'image/jpeg': /^\xff\xd8\xff/,
  'image/png': /^\x89PNG\r\n/,
  'image/webp': /^RIFF.{4}WEBP/s,
  'image/avif': /^.{4}ftyp/s,
}

/** Whether a body begins like its content type: an error page sent as 200 is no thumbnail. */
export const isPicture = (contentType: string | undefined, body: Buffer): boolean =>
  beginnings[contentType?.split(';')[0] ?? '']?.test(body.toString('latin1', 0, 16)) ?? false
