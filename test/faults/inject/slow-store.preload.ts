/** Loaded into every process by NODE_OPTIONS: in the converter, rename and link are slow while a file exists, as on a busy disk. */
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { setTimeout } from 'node:timers/promises'
import { isSlow } from './slow-while.ts'

/** A thumbnail is renamed to its place and its result linked: storing takes four seconds. */
const addedMs = 2_000

function slowly<A extends unknown[], R>(call: (...args: A) => Promise<R>) {
  return async (...args: A): Promise<R> => {
    if (isSlow()) await setTimeout(addedMs)
    return call(...args)
  }
}

if (process.argv[1]?.endsWith('services/converter/main.ts')) {
  Object.assign(fs, { rename: slowly(fs.rename), link: slowly(fs.link) })
  syncBuiltinESMExports()
}
