import { parentPort, workerData } from 'node:worker_threads'
import libheif from 'libheif-js/libheif-wasm/libheif.js'

/**
 * A thread that decodes one HEIC by libheif, compiled to WebAssembly, and ends. Its memory is new, so that it contains
 * nothing of another photo. The child's own event loop runs even if a decoder never ends.
 */

export type Work = { bytes: Uint8Array; maxPixels: number }
/** Upright, 8 bits a channel, rows without a gap. */
export type Decoded = ReturnType<typeof decode>

/** Values of the enumerations heif_colorspace, heif_chroma, heif_channel and heif_suberror_code. */
const [rgb, interleavedRgb, interleavedRgba, interleaved] = [1, 10, 11, 10]
const profilesDiffer = 152
/** Share of missing pixels above which the photo is not shown. */
const mostMissing = 0.91

const { bytes, maxPixels } = workerData as Work
const quiet = () => {}
// The types declare `default`, but the CommonJS module is the function.
const heif = (libheif as unknown as typeof libheif.default)({ print: quiet, printErr: quiet })
/** The struct heif_error {code, subcode, message}, which C functions return through their first argument. */
const error = heif._malloc(12)
/** Memory for other output arguments of a call. */
const out = heif._malloc(4)
const word = (address: number): number => heif.HEAPU32[address / 4]

const decoded = decode()
parentPort?.postMessage(decoded, [decoded.pixels.buffer as ArrayBuffer])

function decode() {
  const context = heif._heif_context_alloc()
  heif._heif_context_set_maximum_image_size_limit(context, Math.ceil(Math.sqrt(maxPixels)))
  const file = heif._malloc(bytes.length)
  heif.HEAPU8.set(bytes, file)
  heif._heif_context_read_from_memory_without_copy(error, context, file, bytes.length, 0)
  check()
  heif._heif_context_get_primary_image_handle(error, context, out)
  check()
  const photo = word(out)
  const channels: 3 | 4 = heif._heif_image_handle_has_alpha_channel(photo) ? 4 : 3
  heif._heif_decode_image(error, photo, out, rgb, channels === 4 ? interleavedRgba : interleavedRgb, 0)
  check()
  const image = word(out)
  const warnings = warningsOf(image)
  const width = heif._heif_image_get_primary_width(image)
  const height = heif._heif_image_get_primary_height(image)
  const pixels = pixelsOf(image, width * channels, height)
  if (warnings.length > 0) paintMissing(pixels, channels, width)
  const premultiplied = heif._heif_image_handle_is_premultiplied_alpha(photo) === 1
  return { pixels, width, height, channels, premultiplied, warnings }
}

/** @throws libheif's error of the last call. */
function check(): void {
  if (word(error) !== 0) throw new Error(`libheif: ${message()}`)
}

function message(): string {
  const start = word(error + 8)
  return Buffer.from(heif.HEAPU8.subarray(start, heif.HEAPU8.indexOf(0, start))).toString()
}

/** The decoder's warnings, such as missing tiles, except that two colour profiles differ. */
function warningsOf(image: number): string[] {
  const count = heif._heif_image_get_decoding_warnings(image, 0, 0, 0)
  const warnings = Array.from({ length: count }, (_, index) => {
    heif._heif_image_get_decoding_warnings(image, index, error, 1)
    return { code: word(error + 4), text: message() }
  })
  return warnings.filter(({ code }) => code !== profilesDiffer).map(({ text }) => `libheif: ${text}`)
}

function pixelsOf(image: number, rowBytes: number, rows: number): Uint8Array {
  const plane = heif._heif_image_get_plane_readonly2(image, interleaved, out)
  const stride = word(out)
  const pixels = new Uint8Array(rowBytes * rows)
  for (let row = 0; row < rows; row++) {
    const start = plane + row * stride
    pixels.set(heif.HEAPU8.subarray(start, start + rowBytes), row * rowBytes)
  }
  return pixels
}

/** Paints missing tiles grey. Their luma and chroma are 0, which is a green without red and blue; one is in a corner. */
function paintMissing(pixels: Uint8Array, channels: number, width: number): void {
  const last = pixels.length - channels
  const row = (width - 1) * channels
  const corners = [0, row, last - row, last].map(at => pixels.subarray(at, at + 3))
  const [, green] = corners.find(([red, green = 0, blue]) => red === 0 && blue === 0 && green >= 64) ?? []
  if (green === undefined) return
  let missing = 0
  for (let at = 0; at <= last; at += channels) {
    if (pixels[at] !== 0 || pixels[at + 1] !== green || pixels[at + 2] !== 0) continue
    pixels.fill(128, at, at + 3)
    missing++
  }
  if (missing * channels > mostMissing * pixels.length)
    throw new Error('libheif: nearly all tiles are missing')
}
