import { chromaOf, heifProperties } from '@tintype/lib/photo/heif.ts'
import type { Format } from '@tintype/lib/photo/record.ts'
import type { Metadata } from 'sharp'
import { pngChunks } from './png.ts'

/** Colours other than sRGB. `matrix`: from linear RGB to that of sRGB. `light`: by a sample from 0 to 1; white is 1. */
export type Colours = { matrix: Matrix; light: (value: number) => number }

type Vector = readonly number[]
/** Three rows. */
type Matrix = readonly Vector[]

/** CIE x and y of red, green and blue. White is D65. */
const srgbPrimaries = [0.64, 0.33, 0.3, 0.6, 0.15, 0.06]
const p3 = [0.68, 0.32, 0.265, 0.69, 0.15, 0.06]
/** By the codes of ITU-T H.273: BT.2020, DCI P3 and Display P3. Others count as sRGB's. */
const primariesByCode: Record<number, Vector> = {
  9: [0.708, 0.292, 0.17, 0.797, 0.131, 0.046],
  11: p3,
  12: p3,
}

/** From linear RGB of these primaries to that of sRGB: the same colours, in the shares that make white. */
function matrixOf(primaries: Vector = srgbPrimaries): Matrix {
  const srgbColumns = toXyz(srgbPrimaries)
  const columns = toXyz(primaries).map(colour => sharesOf(srgbColumns, colour))
  const white = sharesOf(srgbColumns, [0.9505, 1, 1.0891])
  const scales = sharesOf(columns, white)
  return white.map((each, row) =>
    columns.map((column, index) => ((column[row] ?? 0) * (scales[index] ?? 0)) / each),
  )
}

const toXyz = (primaries: Vector): Matrix =>
  [0, 2, 4].map(at => {
    const [x = 0, y = 0] = primaries.slice(at)
    return [x / y, 1, (1 - x - y) / y]
  })

/** How much of each of three colours makes a colour, by Cramer's rule. */
function sharesOf([red = [], green = [], blue = []]: Matrix, colour: Vector): Vector {
  const across = [cross(green, blue), cross(blue, red), cross(red, green)]
  return across.map(normal => dot(normal, colour) / dot(cross(green, blue), red))
}
const dot = ([a = 0, b = 0, c = 0]: Vector, [d = 0, e = 0, f = 0]: Vector) => a * d + b * e + c * f
const cross = ([a = 0, b = 0, c = 0]: Vector, [d = 0, e = 0, f = 0]: Vector): Vector => [
  b * f - c * e,
  c * d - a * f,
  a * e - b * d,
]

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

/** Declared colours that libvips ignores; undefined for sRGB, and where the photo's profile counts. */
export function coloursOf(format: Format, photo: Buffer, header: Metadata): Colours | undefined {
  const { space, exif, icc } = header
  try {
    if (format === 'png') return coloursOfPng(photo, icc)
    if (format === 'jpeg' && !icc) return space === 'srgb' && exif && isAdobeRgb(exif) ? adobeRgb : undefined
    const properties = format === 'avif' || format === 'heic' ? heifProperties(photo) : []
    const nclx = properties.find(({ type, body }) => type === 'colr' && body.indexOf('nclx') === 0)?.body
    // libheif reads the limited range (16 to 235) of a grey AVIF as the full range.
    const isLimited = nclx && format === 'avif' && chromaOf(photo) === 0 && nclx.readUInt8(10) < 0x80
    if (icc && !isLimited) return coloursOfHdr(icc)
    const colours = nclx && byCodes(nclx.readUInt16BE(4), nclx.readUInt16BE(6))
    if (!isLimited) return colours
    const { matrix = matrixOf(), light = srgb } = colours ?? {}
    return { matrix, light: value => light((value * 255 - 16) / 219) }
  } catch {
    return undefined // the photo ends before them
  }
}

/** A camera's second colour space (DCF). It is named by the interoperability index R03 or the colour space 2, in either byte order. */
const adobeRgb: Colours = {
  matrix: matrixOf([0.64, 0.33, 0.21, 0.71, 0.15, 0.06]),
  light: value => value ** (563 / 256),
}
const adobeRgbEntries = [
  '010002000400000052303300',
  '000100020000000452303300',
  '01a00300010000000200',
  'a0010003000000010002',
].map(entry => Buffer.from(entry, 'hex'))
const isAdobeRgb = (exif: Buffer): boolean => adobeRgbEntries.some(entry => exif.includes(entry))

function byCodes(primaries: number, transfer: number): Colours | undefined {
  const [known, light] = [primariesByCode[primaries], curvesByCode[transfer]]
  return known || light ? { matrix: matrixOf(known), light: light ?? srgb } : undefined
}

/**
 * From a profile of PQ or HLG, as Apple's and libjxl's state by the tag `cicp`, and older ones by their name. Its curve
 * ends at the brightest light, so that white would be nearly black.
 */
function coloursOfHdr(icc: Buffer): Colours | undefined {
  const at = icc.indexOf('cicp\0\0\0\0')
  if (at >= 0)
    return icc[at + 9] === 16 || icc[at + 9] === 18 ? byCodes(icc[at + 8] ?? 0, icc[at + 9] ?? 0) : undefined
  return /ST 2084|2100[ _]PQ/.test(icc.toString('latin1').replaceAll('\0', '')) ? byCodes(9, 16) : undefined
}

/** From the chunk cICP, which counts first, else from a profile, else from cHRM and gAMA, which count only without sRGB. */
function coloursOfPng(png: Buffer, icc: Buffer | undefined): Colours | undefined {
  const chunks = new Map<string, Buffer>()
  for (const { type, body } of pngChunks(png)) {
    if (type === 'IDAT') break
    chunks.set(type, body)
  }
  const [codes, points, gamma] = ['cICP', 'cHRM', 'gAMA'].map(type => chunks.get(type))
  if (codes) return byCodes(codes.readUInt8(0), codes.readUInt8(1))
  if (icc) return coloursOfHdr(icc)
  if (chunks.has('iCCP') || chunks.has('sRGB')) return undefined
  const matrix = matrixOf(points && [8, 12, 16, 20, 24, 28].map(at => points.readUInt32BE(at) / 100_000))
  const exponent = 100_000 / (gamma?.readUInt32BE(0) || 45_455)
  const distances = matrix.flatMap((row, at) => row.map((each, of) => Math.abs(each - Number(at === of))))
  const furthest = Math.max(...distances)
  // Smaller differences are invisible; libpng has the same tolerance of gamma. Points that are no primaries give more.
  const isWide = furthest > 0.02 && furthest < 4
  if (!isWide && Math.abs(exponent / 2.2 - 1) <= 0.05) return undefined
  return { matrix: isWide ? matrix : matrixOf(), light: gamma ? value => value ** exponent : srgb }
}

/** Converts pixels to sRGB in place. Each channel is clipped to sRGB's range. */
export function toSrgb(pixels: Buffer, channels: number, { matrix, light }: Colours): void {
  const lights = Float64Array.from({ length: 256 }, (_, value) => light(value / 255))
  const at = (index: number) => lights[pixels[index] ?? 0] ?? 0
  for (let from = 0; from < pixels.length; from += channels) {
    const [red, green, blue] = [at(from), at(from + 1), at(from + 2)]
    matrix.forEach(([r = 0, g = 0, b = 0], channel) => {
      pixels[from + channel] = sample(r * red + g * green + b * blue)
    })
  }
}

/** Converts YCbCr of JPEG's full range (ITU-T T.871) to RGB in place. */
export function fromYcc(pixels: Buffer): void {
  for (let at = 0; at < pixels.length; at += 3) {
    const [luma = 0, blue = 0, red = 0] = pixels.subarray(at, at + 3)
    const [cb, cr] = [blue - 128, red - 128]
    const rgb = [luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb]
    pixels.set(Uint8ClampedArray.from(rgb), at)
  }
}

const steps = 2 ** 14
const samples = Uint8Array.from({ length: steps + 1 }, (_, step) => {
  const value = step / steps
  return Math.round(255 * (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055))
})
/** sRGB's 8-bit value for a channel's light. */
const sample = (value: number): number => samples[Math.round(steps * Math.min(1, Math.max(0, value)))] ?? 0
