import type { Format } from './photo/record.ts'

/**
 * The longest side of a photo that is decoded, in pixels: libjpeg's limit. WebP cannot have a longer one. For PNG and TIFF
 * libvips holds some hundred whole rows (a PNG of 900,000 × 200 took 1.1 GiB, a TIFF of 90,000,000 × 2 took 8.6 GiB).
 */
const maxSide = 65_500

/** A rounded-down number for a sentence: 26.8 million gives 26, and 480,000 gives 0.48. */
export const inMillions = (value: number, million = 1e6): number =>
  value < 10 * million ? Math.floor((100 * value) / million) / 100 : Math.floor(value / million)

/** Photos that take more memory or time than others of a format: in passes, over 8 bits, CMYK, alpha, 4:2:2, 4:4:4. */
export type CostlyKind = '' | 'interlaced' | 'deep' | 'CMYK' | 'transparent' | 'full-chroma'

/**
 * For formats and kinds that are decoded whole: the most pixels whose decode stays below 0.8 GiB and so, with the
 * process (0.1 GiB) and the file, below CHILD_MEMORY_BYTES' default of 1 GiB. Measured with sharp 0.35.5 and libheif-js
 * 1.23.2, peak RSS in bytes a pixel of the worst kind: AVIF 24.4 (12 bits, 4:4:4, alpha), HEIC 13.4 (8 bits, 4:2:0), 16.7
 * (4:4:4), 21.6 (10 bits) and 31.5 (12 bits, alpha), WebP 6.4 (lossless), GIF 5.7, TIFF 3.4 (32-bit floats), interlaced PNG 8.7 (16
 * bits, alpha), progressive JPEG 7.8 (CMYK). The others are decoded as a stream: under 0.9. Deep PNG and TIFF take up to
 * 80 ms of processor time a megapixel, so that 90 megapixels take half of CONVERT_SECONDS' default; CMYK takes 70 ms, and a
 * colour profile with alpha 45 ms.
 */
const mostPixels: Record<string, number> = {
  avif: 32_000_000,
  heic: 64_200_000,
  'full-chroma heic': 50_000_000,
  'deep heic': 39_000_000,
  'transparent heic': 26_000_000,
  webp: 120_000_000,
  gif: 130_000_000,
  tiff: 200_000_000,
  'deep tiff': 90_000_000,
  'CMYK tiff': 100_000_000,
  'transparent tiff': 160_000_000,
  'deep png': 90_000_000,
  'transparent png': 160_000_000,
  'interlaced png': 90_000_000,
  'interlaced jpeg': 100_000_000,
}

/** The most pixels that a photo of this format and kind may have, never above `maxPixels`. */
export const pixelLimit = (format: Format, maxPixels: number, kind: CostlyKind): number =>
  Math.min(maxPixels, mostPixels[`${kind} ${format}`] ?? mostPixels[format] ?? maxPixels)

export type Sides = { width: number; height: number }

/**
 * The sentence for a photo that is over the limits; undefined when it is not.
 * @param kind empty when it is not yet known.
 */
export function pixelRefusal(
  { width, height }: Sides,
  format: Format,
  maxPixels: number,
  kind: CostlyKind = '',
) {
  const most = pixelLimit(format, maxPixels, kind)
  if (width * height <= most && Math.max(width, height) <= maxSide) return undefined
  return (
    `This photo has ${width} × ${height} pixels; we take ${`${kind} ${format.toUpperCase()}`.trim()} files up to ` +
    `${inMillions(most)} megapixels and ${maxSide} pixels a side. Make it smaller or save it as a plain JPEG, then try again.`
  )
}
