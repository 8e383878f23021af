/** Loaded into every process by NODE_OPTIONS: in the converter, mkdir and rename are slow while a file exists, as on a busy disk. */
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { setTimeout } from 'node:timers/promises'
import { isSlow } from './slow-while.ts'

const addedMs = 600

function slowly<A extends unknown[], R>(call: (...args: A) => Promise<R>) {
  return async (...args: A): Promise<R> => {
    if (isSlow()) await setTimeout(addedMs)
    return call(...args)
  }
}

if (process.argv[1]?.endsWith('services/converter/main.ts')) {
  Object.assign(fs, { mkdir: slowly(fs.mkdir), rename: slowly(fs.rename) })
  syncBuiltinESMExports()
}
