/**
 * The colours of a HEIF photo as numbers (ITU-T H.273) in place of an ICC profile: x and y of red, green, blue and
 * white, and the code of the transfer characteristics.
 */
export type Nclx = { primaries: number[]; transfer: number }

type Row = [number, number, number]
type Matrix = Row[]

const srgb = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
/** A photo's white, in candelas a square metre, where a curve is of absolute light (ITU-R BT.2408). */
const whiteLight = 203
/** Light, 1 being white, by the sample's value from 0 to 1. BT.709's curve is shown as sRGB's, as browsers do. */
const curves: Record<number, (value: number) => number> = {
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

/** BT.709's, which are sRGB's. */
const srgbPrimaries = [0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329]
/** The white that ICC profiles are relative to. */
const d50 = [0.9642, 1, 0.8249] as const
const bradford: Matrix = [
  [0.8951, 0.2664, -0.1614],
  [-0.7502, 1.7135, 0.0367],
  [0.0389, -0.0685, 1.0296],
]

/** An ICC profile (version 2, matrix and curves) of these colours; undefined when they are sRGB's, or not given. */
export function profileOf({ primaries, transfer }: Nclx): Buffer | undefined {
  const curve = curves[transfer]
  const same = primaries.every((each, index) => Math.abs(each - (srgbPrimaries[index] ?? 0)) < 0.001)
  if (!primaries.every(each => each > 0) || (same && !curve)) return undefined
  const [red, green, blue] = columns(toD50(primaries))
  const samples = Array.from({ length: 1024 }, (_, index) => (curve ?? srgb)(index / 1023))
  const trc = Buffer.alloc(12 + samples.length * 2)
  trc.write('curv')
  trc.writeUInt32BE(samples.length, 8)
  for (const [index, light] of samples.entries())
    trc.writeUInt16BE(Math.round(65_535 * Math.min(1, light)), 12 + index * 2)
  return icc({
    rXYZ: xyz(red),
    gXYZ: xyz(green),
    bXYZ: xyz(blue),
    wtpt: xyz(d50),
    rTRC: trc,
    gTRC: trc,
    bTRC: trc,
  })
}

/** The matrix from linear RGB to XYZ relative to D50. */
function toD50(primaries: number[]): Matrix {
  const [red, green, blue, white] = [0, 2, 4, 6].map(at => {
    const [x = 0, y = 1] = primaries.slice(at, at + 2)
    return [x / y, 1, (1 - x - y) / y]
  }) as [number[], number[], number[], number[]]
  const unscaled = columns([red, green, blue] as Matrix) as Matrix
  const scale = times(inverse(unscaled), white)
  const toXyz = unscaled.map(row => row.map((each, index) => each * (scale[index] ?? 0))) as Matrix
  const [from, to] = [times(bradford, white), times(bradford, [...d50])]
  const cones = bradford.map((row, index) => row.map(each => (each * (to[index] ?? 0)) / (from[index] ?? 1)))
  return product(product(inverse(bradford), cones as Matrix), toXyz)
}

const columns = (matrix: Matrix) => [0, 1, 2].map(column => matrix.map(row => row[column] ?? 0)) as Matrix
const times = (matrix: Matrix, vector: number[]): number[] =>
  matrix.map(row => row.reduce((sum, each, index) => sum + each * (vector[index] ?? 0), 0))
const product = (left: Matrix, right: Matrix): Matrix =>
  columns(columns(right).map(column => times(left, column)) as Matrix)
function inverse(matrix: Matrix): Matrix {
  const cofactors = matrix.map((_, row) => {
    const [[a, b, c], [d, e, f]] = [matrix[(row + 1) % 3], matrix[(row + 2) % 3]] as Matrix as [Row, Row]
    return [b * f - c * e, c * d - a * f, a * e - b * d] as Row
  })
  const determinant = times([matrix[0] as Row], cofactors[0] as Row)[0] ?? 1
  return columns(cofactors.map(row => row.map(each => each / determinant) as Row))
}

function xyz(values: readonly number[] | undefined): Buffer {
  const tag = Buffer.alloc(20)
  tag.write('XYZ ')
  for (const [index, value] of (values ?? []).entries())
    tag.writeInt32BE(Math.round(value * 65_536), 8 + index * 4)
  return tag
}

/** Header, table of tags, tags. */
function icc(tags: Record<string, Buffer>): Buffer {
  const entries = Object.entries(tags)
  const header = Buffer.alloc(132 + 12 * entries.length)
  const size = entries.reduce((sum, [, tag]) => sum + tag.length, header.length)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(0x02400000, 8)
  header.write('mntrRGB XYZ ', 12)
  header.write('acsp', 36)
  for (const [index, value] of d50.entries()) header.writeInt32BE(Math.round(value * 65_536), 68 + index * 4)
  header.writeUInt32BE(entries.length, 128)
  let offset = header.length
  for (const [index, [name, tag]] of entries.entries()) {
    const at = 132 + 12 * index
    header.write(name, at)
    header.writeUInt32BE(offset, at + 4)
    header.writeUInt32BE(tag.length, at + 8)
    offset += tag.length
  }
  return Buffer.concat([header, ...entries.map(([, tag]) => tag)])
}
