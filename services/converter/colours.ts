import { heifProperties } from '@tintype/lib/photo/heif.ts'
import type { Format } from '@tintype/lib/photo/record.ts'

/** Colours other than sRGB. `matrix`: from linear RGB to that of sRGB. `light`: by a sample from 0 to 1; white is 1. */
export type Colours = { matrix: Matrix; light: (value: number) => number }

/** Three rows. */
type Matrix = readonly (readonly number[])[]

/** From linear RGB to that of sRGB, by the matrices of CSS Color 4. */
const [ofSrgb, ofBt2020, ofP3]: [Matrix, Matrix, Matrix] = [
  [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  [
    [1.6605, -0.5876, -0.0728],
    [-0.1246, 1.1329, -0.0083],
    [-0.0182, -0.1006, 1.1187],
  ],
  [
    [1.2249, -0.2249, 0],
    [-0.042, 1.042, 0],
    [-0.0196, -0.0786, 1.0979],
  ],
]
/** By the codes of ITU-T H.273: BT.2020, DCI P3 and Display P3. Others count as sRGB's. */
const matrixByCode: Record<number, Matrix> = { 9: ofBt2020, 11: ofP3, 12: ofP3 }

const srgb = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
/** Transfer characteristics by the codes of ITU-T H.273. BT.709 is shown with sRGB's curve, as browsers do. */
const curvesByCode: Record<number, (value: number) => number> = {
  4: value => value ** 2.2,
  8: value => value,
  16: value => perceptual(value) / 203, // cd/m² of a photo's white (ITU-R BT.2408)
  18: value => (hybrid(value) / hybrid(0.75)) ** 1.2,
}
/** The curve of SMPTE ST 2084 (PQ), in cd/m². */
function perceptual(value: number): number {
  const root = value ** (32 / 2523)
  return 10_000 * (Math.max(0, root - 0.8359375) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
}
/** The curve of ARIB STD-B67 (HLG), as light of the scene. */
const hybrid = (value: number): number =>
  value <= 0.5 ? value ** 2 / 3 : (Math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12

/** The colours that a photo declares by numbers, which libvips ignores; undefined for sRGB. */
export function coloursOf(format: Format, photo: Buffer): Colours | undefined {
  try {
    if (format === 'png') return coloursOfPng(photo)
    if (format !== 'avif' && format !== 'heic') return undefined
    const nclx = heifProperties(photo).find(
      ({ type, body }) => type === 'colr' && body.indexOf('nclx') === 0,
    )?.body
    return nclx && byCodes(nclx.readUInt16BE(4), nclx.readUInt16BE(6))
  } catch {
    return undefined // the photo ends before them
  }
}

function byCodes(primaries: number, transfer: number): Colours | undefined {
  const [matrix, light] = [matrixByCode[primaries], curvesByCode[transfer]]
  return matrix || light ? { matrix: matrix ?? ofSrgb, light: light ?? srgb } : undefined
}

/** From the chunk cICP, which counts first, else from gAMA, which counts only without iCCP and sRGB. */
function coloursOfPng(png: Buffer): Colours | undefined {
  const chunks = new Map<string, Buffer>()
  for (let at = 8; !chunks.has('IDAT'); at += 12 + png.readUInt32BE(at))
    chunks.set(png.toString('latin1', at + 4, at + 8), png.subarray(at + 8))
  const [codes, gamma] = ['cICP', 'gAMA'].map(type => chunks.get(type))
  if (codes) return byCodes(codes.readUInt8(0), codes.readUInt8(1))
  if (!gamma || chunks.has('iCCP') || chunks.has('sRGB')) return undefined
  const exponent = 100_000 / (gamma.readUInt32BE(0) || 45_455)
  // A smaller difference is invisible; libpng has the same tolerance.
  return Math.abs(exponent / 2.2 - 1) > 0.05
    ? { matrix: ofSrgb, light: value => value ** exponent }
    : undefined
}

/** Converts pixels to sRGB in place. Each channel is clipped to sRGB's range. */
export function toSrgb(pixels: Buffer, channels: number, { matrix, light }: Colours): void {
  const lights = Float64Array.from({ length: 256 }, (_, value) => light(value / 255))
  const at = (index: number) => lights[pixels[index] ?? 0] ?? 0
  for (let from = 0; from < pixels.length; from += channels) {
    if (channels < 3) {
      pixels[from] = sample(at(from))
      continue
    }
    const [red, green, blue] = [at(from), at(from + 1), at(from + 2)]
    matrix.forEach(([r = 0, g = 0, b = 0], channel) => {
      pixels[from + channel] = sample(r * red + g * green + b * blue)
    })
  }
}

const steps = 2 ** 14
const samples = Uint8Array.from({ length: steps + 1 }, (_, step) => {
  const value = step / steps
  return Math.round(255 * (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055))
})
/** sRGB's 8-bit value for a channel's light. */
const sample = (value: number): number => samples[Math.round(steps * Math.min(1, Math.max(0, value)))] ?? 0
