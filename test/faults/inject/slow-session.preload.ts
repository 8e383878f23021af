/** Loaded into every process by NODE_OPTIONS: in web, the hash that gives a session's owner is slow while a file exists. */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { isSlow } from './slow-while.ts'

const lookUpMs = 200
const sleeper = new Int32Array(new SharedArrayBuffer(4))

if (process.argv[1]?.endsWith('services/web/main.ts')) {
  const { hash } = crypto
  crypto.hash = ((algorithm: string, data: string, encoding?: 'hex') => {
    // Keys of uploads are hashed without this argument.
    if (encoding && isSlow()) Atomics.wait(sleeper, 0, 0, lookUpMs)
    return hash(algorithm, data, encoding ?? 'hex')
  }) as typeof hash
  syncBuiltinESMExports()
}
