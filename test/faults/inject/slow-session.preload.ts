/** Loaded into every process by NODE_OPTIONS: in web, signing is slow from when a file exists, as with keys that are kept elsewhere. */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { isSlow } from './slow-while.ts'

const lookUpMs = 200
const sleeper = new Int32Array(new SharedArrayBuffer(4))

if (process.argv[1]?.endsWith('services/web/main.ts')) {
  const { createHmac } = crypto
  crypto.createHmac = (...args) => {
    if (isSlow()) Atomics.wait(sleeper, 0, 0, lookUpMs)
    return createHmac(...args)
  }
  syncBuiltinESMExports()
}
