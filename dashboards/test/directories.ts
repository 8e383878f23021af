import { fileURLToPath } from 'node:url'
import { type Directory, readDirectory, tintypeFolder } from '../../slo/directory.ts'

export const anotherFolder = fileURLToPath(new URL('another/', import.meta.url))

const example = fileURLToPath(new URL('../../slo/examples/prometheus/', import.meta.url))

/** Tintype's own directory, one of another service, and the example. */
export const directories: readonly Directory[] = [tintypeFolder, anotherFolder, example].map(folder =>
  readDirectory(folder),
)
