export const minutesAnHour = 60

/** An hour's increases as stored; 60 minutes without a sample (NaN) when there is no row. */
export function decodeHour(blob: Uint8Array | undefined): Float64Array {
  if (blob === undefined) return new Float64Array(minutesAnHour).fill(Number.NaN)
  // A view needs aligned bytes, which SQLite’s own buffer mostly has; a copy of each would cost most of a read.
  return blob.byteOffset % 8 === 0
    ? new Float64Array(blob.buffer as ArrayBuffer, blob.byteOffset, minutesAnHour)
    : new Float64Array(blob.slice().buffer)
}
