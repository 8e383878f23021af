import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../tools/free-port.ts'
import { inherited } from '../../tools/service.ts'
import { type Started, startScript } from '../support.ts'

const root = join(import.meta.dirname, '../..')

export type Writer = {
  from: number
  child: ChildProcess
  /** Resolves when it has ended; `killed` by a signal. */
  ended: Promise<{ killed: boolean }>
  /** The numbers whose log call has returned. */
  returned(): number[]
}

/** The log server, a service that logs, and the command line, on one data folder; each may be killed and started again. */
export function cluster(dataDir: string) {
  const token = 'token-of-the-test'
  const environment = { DATA_DIR: dataDir, INGEST_TOKEN: token, LOGS_ADMIN_PORT: '0' }
  let port: string | undefined
  return {
    token,
    async startServer(given: Record<string, string> = {}): Promise<Started> {
      // It is restarted on the same port, which its writers use.
      port ??= String(await freePort())
      return startScript('services/logs/main.ts', { ...environment, LOGS_PORT: port, ...given }, ['serve'])
    },
    startWriter(from: number, given: Record<string, string> = {}): Writer {
      const ledger = join(dataDir, `ledger.${from}`)
      const child = spawn(process.execPath, [join(root, 'test/logs/writer.ts')], {
        env: {
          ...inherited(),
          FOLDER: join(dataDir, 'logs', 'journal'),
          LEDGER: ledger,
          LOGS_URL: `http://127.0.0.1:${port ?? 9}`,
          TOKEN: token,
          FROM: String(from),
          LIMIT: '1000000000',
          ...given,
        },
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      const ended = once(child, 'exit').then(([, signal]) => ({ killed: signal === 'SIGKILL' }))
      return { from, child, ended, returned: () => wholeLines(ledger).map(Number) }
    },
    /** Runs the command line; gives its exit code (null: killed) and standard output. */
    async logs(
      args: string[],
      given: Record<string, string> = {},
    ): Promise<{ code: number | null; out: string }> {
      const child = execFile(process.execPath, [join(root, 'services/logs/main.ts'), ...args], {
        env: { ...inherited(), ...environment, ...given },
        maxBuffer: 2 ** 28,
      })
      let out = ''
      child.stdout?.on('data', chunk => {
        out += chunk
      })
      const [code] = await once(child, 'close')
      return { code, out }
    },
  }
}

const wholeLines = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []

/** The test's own entries of published files, in their order. */
export const publishedIn = (files: string[]): { id: string; n: number }[] =>
  files
    .flatMap(wholeLines)
    .map(line => JSON.parse(line))
    .filter(({ payload }) => payload.event === 'test.entry')
    .map(({ id, payload }) => ({ id, n: payload.n }))

/** The independent ledger's judgement: everything that returned is there, once, in order, and nothing else is. */
export function judge(writers: Writer[], published: { id: string; n: number }[]): string[] {
  const times = Map.groupBy(published, ({ n }) => n)
  const returned = new Set(writers.flatMap(writer => writer.returned()))
  // A kill may fall between the write to the journal and the number's: one entry more a writer, and no other.
  const allowed = returned.union(
    new Set(writers.map(writer => (writer.returned().at(-1) ?? writer.from - 1) + 1)),
  )
  const last = new Map<string, number>()
  return [
    ...[...returned].filter(n => !times.has(n)).map(n => `${n} is lost`),
    ...[...times].filter(([, all]) => all.length > 1).map(([n, all]) => `${n} is there ${all.length} times`),
    ...[...times.keys()].filter(n => !allowed.has(n)).map(n => `${n} is invented`),
    ...published.flatMap(({ id, n }) => {
      const stream = id.slice(0, id.lastIndexOf('.'))
      const before = last.get(stream) ?? -1
      last.set(stream, n)
      return n > before ? [] : [`${id} is out of order`]
    }),
  ]
}
