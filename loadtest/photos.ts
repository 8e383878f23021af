import { existsSync, mkdirSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'

export type LoadPhoto = { file: string; weight: number; contentType: string }

/** Typical uploads: mostly a phone's 12 megapixels, then messengers' copies, screenshots, and a few from cameras. */
const mix = [
  { name: 'phone', width: 4000, height: 3000, format: 'jpeg', weight: 60 },
  { name: 'messenger', width: 1600, height: 1200, format: 'jpeg', weight: 25 },
  { name: 'screenshot', width: 1170, height: 2532, format: 'png', weight: 10 },
  { name: 'camera', width: 6000, height: 4000, format: 'jpeg', weight: 5 },
] as const

/** Makes the photos once in a folder, with the same bytes each time, so that runs can be compared. */
export async function loadPhotos(folder: string): Promise<LoadPhoto[]> {
  mkdirSync(folder, { recursive: true })
  return Promise.all(
    mix.map(async ({ name, width, height, format, weight }, seed) => {
      const file = join(folder, `${name}.${format === 'jpeg' ? 'jpg' : format}`)
      if (!existsSync(file)) {
        // Renamed when it is complete: a run that is ended here would leave a part of a photo to all later runs.
        const part = `${file}.${process.pid}`
        await writeFile(part, await picture(width, height, format, seed + 1))
        await rename(part, file)
      }
      return { file, weight, contentType: `image/${format}` }
    }),
  )
}

/** Soft shapes with some grain: about as many bytes for each pixel as a photograph (0.25 in JPEG). */
async function picture(width: number, height: number, format: 'jpeg' | 'png', seed: number): Promise<Buffer> {
  const side = 96
  const pixels = Buffer.alloc(side * side * 3)
  for (let i = 0, state = seed; i < pixels.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    pixels[i] = state >>> 24
  }
  const shapes = sharp(pixels, { raw: { width: side, height: side, channels: 3 } }).resize(width, height, {
    kernel: 'cubic',
  })
  return format === 'jpeg'
    ? shapes.jpeg({ quality: 92 }).toBuffer()
    : shapes.png({ palette: true, effort: 1 }).toBuffer() // the default effort takes ten seconds
}
