import { fileURLToPath } from 'node:url'
import { type Directory, readDirectory } from '../../slo/directory.ts'

export const anotherFolder = fileURLToPath(new URL('another/', import.meta.url))

/** Tintype's own directory, and one of another service. */
export const directories: readonly Directory[] = [readDirectory(), readDirectory(anotherFolder)]
