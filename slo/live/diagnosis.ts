import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe } from '@tintype/lib/http.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Verdict } from '../diagnose/diagnose.ts'
import { sentence } from '../diagnose/note.ts'

/** What diagnose said when a budget began to burn. */
export type Found = { at: number; text: string }

export type Diagnosis = {
  /** Asks diagnose, unless it is being asked. Returns at once and never throws: no alert waits for an answer. */
  look(): void
  /** The last answer, while it is still about now. */
  found(nowMs: number): Found | null
}

/** It is asked each minute while something burns; after that it is history. */
const validMs = 5 * 60_000
/** A verdict takes a second or two; one that takes so long helps nobody. */
const timeoutMs = 30_000

const program = fileURLToPath(new URL('../main.ts', import.meta.url))

/** Runs `slo diagnose` as a process of its own: what it reads and computes holds up nothing here. */
export function openDiagnosis(environment: Record<string, string>, log: Log): Diagnosis {
  let last: Found | null = null
  let looking = false
  async function ask(): Promise<void> {
    const asked = promisify(execFile)(process.execPath, [program, 'diagnose', '--json'], {
      env: environment,
      timeout: timeoutMs,
    })
    // It exits 1 when something is slow, and has said what.
    const { stdout } = await asked.catch(error => (error.code === 1 ? error : Promise.reject(error)))
    const verdict = JSON.parse(stdout) as Verdict
    last = {
      at: Date.now(),
      text: [sentence(verdict), verdict.lever && `Do: ${verdict.lever}.`].filter(Boolean).join(' '),
    }
    log.warn('diagnosis.made', {
      verdict: verdict.verdict,
      cause: verdict.cause,
      confidence: verdict.confidence,
    })
  }
  return {
    look() {
      if (looking) return
      looking = true
      ask()
        .catch(error => log.error('diagnosis.failed', { error: describe(error) }))
        .finally(() => {
          looking = false
        })
    },
    found: nowMs => (last && nowMs - last.at < validMs ? last : null),
  }
}
