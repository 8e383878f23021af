import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { outliveEarlyReaders } from '@tintype/lib/terminal.ts'

/** Prints the numbers of the last test run's JSON report; no report, a failure or no test at all exits 1. */
type Report = { numPassedTests: number; numFailedTests: number; numPendingTests: number; success: boolean }

const none: Report = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, success: false }

function read(file: string): Report {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    console.error(`no report of a test run: ${(error as Error).message}`)
    return none
  }
}

outliveEarlyReaders()
const report = read(join(import.meta.dirname, '../.tmp/tests.json'))
const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = report
console.log(`tests: ${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = report.success && failed === 0 && passed > 0 ? 0 : 1
