import { fileURLToPath } from 'node:url'
import { type Directory, readDirectory } from '../../slo/directory.ts'

export const anotherFolder = fileURLToPath(new URL('another/', import.meta.url))

const example = fileURLToPath(new URL('../../slo/examples/prometheus/', import.meta.url))

/** This test's own service, and the example. */
export const anotherDirectories: readonly Directory[] = [anotherFolder, example].map(folder =>
  readDirectory(folder),
)

/** Tintype's own directory, followed by the others. */
export const directories: readonly Directory[] = [readDirectory(), ...anotherDirectories]
