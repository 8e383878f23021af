/** Loaded into every process by NODE_OPTIONS: in web, signing is slow from when a file exists, as with keys that are kept elsewhere. */
import crypto from 'node:crypto'
import { existsSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const lookUpMs = 200
const sleeper = new Int32Array(new SharedArrayBuffer(4))

if (process.argv[1]?.endsWith('services/web/main.ts')) {
  const { createHmac } = crypto
  crypto.createHmac = (...args) => {
    if (existsSync(process.env.SLOW_WHILE ?? '')) Atomics.wait(sleeper, 0, 0, lookUpMs)
    return createHmac(...args)
  }
  syncBuiltinESMExports()
}
