import { execFile } from 'node:child_process'
import { getCompileCacheDir } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cached } from '@tintype/lib/cached.ts'
import { describeError, wasEnded } from '@tintype/lib/errors.ts'
import { countLimit, limits } from '@tintype/lib/limits.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import type { Facts } from '../alerts/alert-store.ts'
import { cut } from '../alerts/text.ts'
import { sentence } from '../diagnose/note.ts'
import type { Example } from '../diagnose/open-examples.ts'
import { type AdminPort, detailSeconds, raiseDetail } from '../diagnose/raise-detail.ts'
import type { Verdict } from '../diagnose/verdict.ts'
import type { Directory } from '../directory.ts'

/** A verdict of diagnose, made when a budget began to burn or a person asked. */
export type FoundVerdict = { at: number; verdict: Verdict; examples: readonly Example[] }
/** What a stored verdict has. Another release may have written one without a list that alerts and notes read. */
const lists = { evidence: [], stages: [{ lacked: [''] }], remarks: [''], replicas: [''], context: [''] }
const foundLike = { at: 0, verdict: { verdict: '', ...lists }, examples: [{}] }
/** The stage whose services log debug entries, until a time (epoch ms). */
type RaisedDetail = { stage: string; until: number }

export type Diagnoser = ReturnType<typeof openDiagnosis>

/** A verdict counts for times within this distance. One is made each minute; older ones are kept this far apart. */
const validMs = 5 * 60_000
/** A verdict takes one or two seconds. After this time the process is killed; before, it says which source hangs. */
const timeoutMs = (limits.readSeconds.value + 5) * 1000
/** Characters kept of the process's errors, whose last line says why it failed. */
const saidChars = 500

/** The entry point, which is JavaScript in the packed slo. */
const program = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url))

/** Runs `slo diagnose` in a separate process, so that it blocks no request or evaluation here. */
export function openDiagnosis(options: {
  directory: Directory
  dataDir: string
  /** The log server's address; empty without one. */
  logsUrl: string
  /** The processes whose log level can be raised. */
  targets: () => readonly AdminPort[]
  log: Log
  alertStore: Facts
  environment: NodeJS.ProcessEnv
}) {
  const { directory, dataDir, logsUrl, targets, log, alertStore, environment } = options
  const { folder, service } = directory
  const env = {
    ...environment,
    DATA_DIR: dataDir,
    LOGS_URL: logsUrl,
    NODE_COMPILE_CACHE: getCompileCacheDir() ?? '',
    SCRAPE_SECONDS: String(service.scrapeSeconds),
    PROMETHEUS_URL: service.prometheus,
  }
  let all = alertStore.get<FoundVerdict[]>('verdicts', [foundLike]) ?? []
  const keep = (found: FoundVerdict): void => {
    const [before, newest] = [all.at(-2), all.at(-1)]
    const older = before && newest && newest.at - before.at < validMs ? all.slice(0, -1) : all
    countLimit('verdicts', Math.max(0, older.length + 1 - limits.verdicts.value))
    all = [...older, found].slice(-limits.verdicts.value)
    alertStore.set('verdicts', all)
  }
  const stopping = new AbortController()
  let detail: RaisedDetail | null = null
  async function ask(nowMs: number): Promise<void> {
    const at = String(nowMs / 1000)
    const verb = [program, 'diagnose', '--config', folder, '--json', '--at', at]
    const bounds = { env, timeout: timeoutMs, killSignal: 'SIGKILL', signal: stopping.signal } as const
    const asked = promisify(execFile)(process.execPath, verb, bounds)
    const { stdout } = await asked.catch(error => {
      if (error.code === 1 && error.stdout) return error // exit status 1 is a verdict: a stage is slow
      if (wasEnded(error)) throw error
      const said = String(error.stderr).trim().slice(-saidChars)
      throw new Error(error.killed ? `no answer within ${timeoutMs / 1000} s` : said || `exit ${error.code}`)
    })
    const { examples, ...verdict } = JSON.parse(stdout) as Verdict & { examples: Example[] }
    keep({ at: nowMs, verdict, examples })
    const { cause, confidence } = verdict
    log.warn('diagnosis.made', { verdict: verdict.verdict, cause, confidence })
  }
  const fail = (error: Error): string => {
    if (!wasEnded(error)) log.error('diagnosis.failed', { error: describeError(error) })
    return error.message
  }
  return {
    /** Makes a verdict about now, unless one is being made. Resolves with null or the reason of a failure. */
    look: cached(0, () => ask(Date.now()).then(() => null, fail)),
    /** The last verdict about a time, which may be past. */
    found: (atMs: number) => all.findLast(({ at }) => Math.abs(atMs - at) < validMs) ?? null,
    /** The last verdict of any age: its note is also read after the incident. */
    last: (): FoundVerdict | null => all.at(-1) ?? null,
    /** Raises the log level for a stage; null when there is no such stage. @throws when its service does not answer. */
    async raise(wanted: string): Promise<RaisedDetail | null> {
      const stage = service.stages.find(({ name }) => name === wanted)
      if (!stage) return null
      await raiseDetail(targets(), stage.jobs)
      detail = { stage: stage.name, until: Date.now() + detailSeconds * 1000 }
      log.info('detail.raised', { stage: stage.name, forSeconds: detailSeconds })
      return detail
    },
    detail: (nowMs: number): RaisedDetail | null => (detail && detail.until > nowMs ? detail : null),
    /** Kills the process, which would otherwise outlive slo while a source hangs. */
    stop: () => stopping.abort(),
  }
}

/** A verdict in an alert's text: the sentence, what to do, and the link to its note. */
export const inShort = ({ verdict }: FoundVerdict, pages: string): string =>
  [cut(sentence(verdict)), verdict.lever && `Do: ${verdict.lever}.`, `Note: ${new URL('note', pages).href}`]
    .filter(Boolean)
    .join(' ')
