import { heifProperties } from '@tintype/lib/photo/heif.ts'
import type { Format } from '@tintype/lib/photo/record.ts'
import { fieldOf, tags } from '@tintype/lib/photo/tiff.ts'

/** Colours other than sRGB's: x and y of red, green, blue and white, and light (white is 1) by a sample's value from 0 to 1. */
export type Colours = { primaries: readonly number[]; light: (value: number) => number }

const d65 = [0.3127, 0.329]
const srgbPrimaries = [0.64, 0.33, 0.3, 0.6, 0.15, 0.06, ...d65]
/** By the codes of ITU-T H.273. Others count as sRGB's. */
const primariesByCode: Record<number, readonly number[]> = {
  9: [0.708, 0.292, 0.17, 0.797, 0.131, 0.046, ...d65],
  11: [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351],
  12: [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, ...d65],
}

const srgb = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
/** A photo's white, in candelas a square metre, where a curve is of absolute light (ITU-R BT.2408). */
const whiteLight = 203
/** Transfer characteristics by the codes of ITU-T H.273. BT.709's curve is shown as sRGB's, as browsers do. */
const curvesByCode: Record<number, (value: number) => number> = {
  4: value => value ** 2.2,
  8: value => value,
  16: value => perceptual(value) / whiteLight,
  18: value => (hybrid(value) / hybrid(0.75)) ** 1.2,
}
/** SMPTE ST 2084: candelas a square metre. */
function perceptual(value: number): number {
  const root = value ** (32 / 2523)
  return 10_000 * (Math.max(0, root - 0.8359375) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
}
/** ARIB STD-B67: light of the scene. */
const hybrid = (value: number): number =>
  value <= 0.5 ? value ** 2 / 3 : (Math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12

/**
 * The colours that a photo names by numbers in place of a profile, which libvips does not read; undefined when they are sRGB's.
 * @param head reads the bytes before the pixels.
 */
export function coloursOf(format: Format, head: () => Buffer): Colours | undefined {
  try {
    if (format === 'png') return coloursOfPng(head())
    if (format !== 'avif' && format !== 'heic') return undefined
    const nclx = heifProperties(head()).find(
      ({ type, body }) => type === 'colr' && body.indexOf('nclx') === 0,
    )?.body
    return nclx && byCodes(nclx.readUInt16BE(4), nclx.readUInt16BE(6))
  } catch {
    return undefined // beyond the head
  }
}

function byCodes(primaries: number, transfer: number): Colours | undefined {
  const [found, light] = [primariesByCode[primaries], curvesByCode[transfer]]
  return found || light ? { primaries: found ?? srgbPrimaries, light: light ?? srgb } : undefined
}

/** By the chunk cICP, else by gAMA and cHRM, which count only without sRGB. */
function coloursOfPng(head: Buffer): Colours | undefined {
  const chunks = new Map<string, Buffer>()
  for (let at = 8; !chunks.has('IDAT'); at += 12 + head.readUInt32BE(at))
    chunks.set(head.toString('latin1', at + 4, at + 8), head.subarray(at + 8))
  const [codes, gamma, points] = ['cICP', 'gAMA', 'cHRM'].map(type => chunks.get(type))
  if (codes) return byCodes(codes.readUInt8(0), codes.readUInt8(1))
  const exponent = 100_000 / (gamma?.readUInt32BE(0) || 45_455)
  // A smaller difference is not seen; libpng has the same tolerance.
  if (chunks.has('sRGB') || Math.abs(exponent / 2.2 - 1) <= 0.05) return undefined
  const [whiteX = 0, whiteY = 0, ...others] = points
    ? Array.from({ length: 8 }, (_, index) => points.readUInt32BE(index * 4) / 100_000)
    : []
  const primaries = points ? [...others, whiteX, whiteY] : srgbPrimaries
  return { primaries, light: value => value ** exponent }
}

/** Whether a page of a TIFF holds YCbCr that is no JPEG, which libvips takes for RGB where the chroma is whole. */
export const isRawYcc = (tiff: Buffer, page: number): boolean =>
  fieldOf(tiff, tags.photometric, page)?.value === 6 && fieldOf(tiff, tags.compression, page)?.value !== 7

type Vector = [number, number, number]
type Matrix = [Vector, Vector, Vector]

/** Converts pixels to sRGB where they are. Colours that sRGB does not have become the nearest of each channel. */
export function toSrgb(pixels: Buffer, channels: number, { primaries, light }: Colours): void {
  const [red, green, blue] = product(inverse(toXyz(srgbPrimaries)), toXyz(primaries)).map(row => {
    const whole = row[0] + row[1] + row[2] // white stays white
    return row.map(each => each / whole)
  }) as Matrix
  const lights = Float64Array.from({ length: 256 }, (_, value) => light(value / 255))
  const at = (index: number) => lights[pixels[index] ?? 0] ?? 0
  for (let from = 0; from < pixels.length; from += channels) {
    if (channels < 3) {
      pixels[from] = sample(at(from))
      continue
    }
    const pixel: Vector = [at(from), at(from + 1), at(from + 2)]
    pixels[from] = sample(dot(red, pixel))
    pixels[from + 1] = sample(dot(green, pixel))
    pixels[from + 2] = sample(dot(blue, pixel))
  }
}

const steps = 2 ** 14
const samples = Uint8Array.from({ length: steps + 1 }, (_, step) => {
  const value = step / steps
  return Math.round(255 * (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055))
})
/** sRGB's value of a channel, of 8 bits, by its light. */
const sample = (value: number): number => samples[Math.round(steps * Math.min(1, Math.max(0, value)))] ?? 0

/** From linear RGB of these primaries to XYZ. */
function toXyz(primaries: readonly number[]): Matrix {
  const [red, green, blue, white] = [0, 2, 4, 6].map(at => {
    const [x = 0, y = 1] = primaries.slice(at, at + 2)
    return [x / y, 1, (1 - x - y) / y]
  }) as [Vector, Vector, Vector, Vector]
  const unscaled = turned([red, green, blue])
  const scale = inverse(unscaled).map(row => dot(row, white))
  return unscaled.map(row => row.map((each, index) => each * (scale[index] ?? 0))) as Matrix
}

const dot = (left: Vector, right: Vector): number =>
  left[0] * right[0] + left[1] * right[1] + left[2] * right[2]
const turned = ([a, b, c]: Matrix) => [0, 1, 2].map(index => [a[index], b[index], c[index]]) as Matrix
const product = (left: Matrix, right: Matrix): Matrix =>
  left.map(row => turned(right).map(column => dot(row, column))) as Matrix
const cross = ([a, b, c]: Vector, [d, e, f]: Vector): Vector => [b * f - c * e, c * d - a * f, a * e - b * d]
function inverse([a, b, c]: Matrix): Matrix {
  const determinant = dot(a, cross(b, c))
  return turned([cross(b, c), cross(c, a), cross(a, b)]).map(row =>
    row.map(each => each / determinant),
  ) as Matrix
}
