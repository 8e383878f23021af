/**
 * A service that only logs: entries n = FROM, FROM + 1, … up to LIMIT, each number written to the file LEDGER once
 * its call has returned. The ledger has what the journal promised to keep.
 */
import { openSync, writeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { armFault } from '@tintype/lib/fault.ts'
import { createLog } from '@tintype/lib/telemetry/log.ts'

const { FOLDER, LEDGER = '', LOGS_URL, TOKEN, FROM, LIMIT, FAULT_POINT, LINGER, INSTANCE = '0' } = process.env
armFault(FAULT_POINT)
const journal = { folder: FOLDER ?? '', destination: { url: () => LOGS_URL, token: () => TOKEN ?? '' } }
const log = createLog({ service: 'web', instance: INSTANCE, level: 'info', journal })

const ledger = openSync(LEDGER, 'a')
/** SIGUSR2: log nothing more, but ship the rest. SIGTERM: end. */
const quiet = new AbortController()
const ending = new AbortController()
process.on('SIGUSR2', () => quiet.abort())
process.on('SIGTERM', () => {
  quiet.abort()
  ending.abort()
})
const perTurn = 20
const turnMs = 5
for (let n = Number(FROM); !quiet.signal.aborted && n < Number(LIMIT); n++) {
  log.info('test.entry', { n, text: 'é'.repeat(n % 300) }, '0123456789abcdef')
  writeSync(ledger, `${n}\n`)
  if (n % perTurn === 0) await setTimeout(turnMs)
}
if (LINGER || (quiet.signal.aborted && !ending.signal.aborted))
  await setTimeout(60_000, undefined, { signal: ending.signal }).catch(() => {})
await log.close()
