import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { type Ended, runScript, until } from '../../../test/support.ts'
import { freePort } from '../../../tools/free-port.ts'

export type Program = { url: string; process: ChildProcess; stop(): Promise<void> }

/** Starts a program that listens on the given port or a free one. Resolves when the path `ready` answers. */
export async function startProgram(
  command: string,
  args: (port: number) => string[],
  ready: string,
  given?: number,
): Promise<Program> {
  const port = given ?? (await freePort())
  const child = spawn(command, args(port), { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  const answers = () =>
    fetch(url + ready).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(answers, { what: `an answer of ${command}` })
  return {
    url,
    process: child,
    async stop() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Starts a Prometheus with this configuration, rules and samples of the past. */
export async function startServer(
  parts: { prometheus: string; promtool: string },
  folder: string,
  { config = {}, rules, history }: { config?: object; rules?: object; history?: string },
  port?: number,
): Promise<Program> {
  mkdirSync(folder, { recursive: true })
  const [file, data, metrics] = ['prometheus.yml', 'data', 'metrics.txt'].map(name => join(folder, name))
  writeFileSync(file as string, stringify({ ...config, ...(rules && { rule_files: ['rules.yml'] }) }))
  if (rules) writeFileSync(join(folder, 'rules.yml'), stringify(rules))
  if (history !== undefined) {
    writeFileSync(metrics as string, history)
    const args = ['tsdb', 'create-blocks-from', 'openmetrics', metrics as string, data as string]
    await promisify(execFile)(parts.promtool, args, { maxBuffer: 2 ** 26 })
  }
  return startProgram(
    parts.prometheus,
    port => [
      `--config.file=${file}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--storage.tsdb.path=${data}`,
    ],
    '/-/ready',
    port,
  )
}

/** Runs `slo`. */
export const slo = (environment: Record<string, string>, ...args: string[]): Promise<Ended> =>
  runScript('slo/main.ts', args, environment)

/** Values of a series, each 15 s in the minutes before `end` (epoch seconds), as OpenMetrics. */
export const recordedSeries = (
  name: string,
  end: number,
  minutes: number,
  value: (minute: number) => number | null,
): string[] =>
  Array.from({ length: minutes * 4 }, (_, i) => ({
    at: end - minutes * 60 + 5 + i * 15,
    minute: i >> 2,
  }))
    .map(({ at, minute }) => ({ at, value: value(minute) }))
    .filter(each => each.value !== null)
    .map(({ at, value }) => `${name} ${value} ${at}`)
