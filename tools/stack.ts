/** `npm run stack`: a real Prometheus and Alertmanager beside the running service, with the generated rules. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readArguments, runCommand, UsageError } from '@tintype/lib/command-line.ts'
import { port, readConfig } from '@tintype/lib/config.ts'
import { plainEnvironment } from '@tintype/lib/environment.ts'
import { ExpectedError } from '@tintype/lib/errors.ts'
import { readJsonFile } from '@tintype/lib/json.ts'
import { fromHere } from '@tintype/lib/loopback.ts'
import { ownFolder } from '@tintype/lib/telemetry/own.ts'
import { forwardStderr } from '@tintype/lib/terminal.ts'
import { pick } from '@tintype/lib/variables.ts'
import { stringify } from 'yaml'
import { alertmanagerConfig, type RuleFile, rules } from '../slo/alerts/rules.ts'
import { ruleYaml } from '../slo/cli/rules.ts'
import { readDirectory } from '../slo/directory.ts'
import { endingWithUs } from './ending-with-us.ts'
import { part } from './parts.ts'
import { prometheusConfig, targetsOf } from './stack/config.ts'
import { stopSignal } from './stop-signal.ts'

const usage = `npm run stack [-- --prometheus-port PORT] [--alertmanager-port PORT] [--rules FILE]

Starts Prometheus and Alertmanager beside the service that runs on DATA_DIR, until Ctrl-C. Prometheus scrapes every
SCRAPE_SECONDS and keeps its data in DATA_DIR/stack for KEEP_METRICS_DAYS. Alertmanager notifies ALERT_WEBHOOK_URL, and
slo no longer does; without the variable no Alertmanager is started, and slo goes on notifying. Alerts link to SLO_URL
(default: this machine).
  --prometheus-port    default 9090
  --alertmanager-port  default 9093
  --rules              a rule file instead of the rules of slo/tintype

slo reads from it when it is started with its address: PROMETHEUS_URL=http://127.0.0.1:9090 npm start
Example: npm run stack -- --prometheus-port 9190
Exit status: 0 stopped, 1 one of them ended early, 2 bad arguments, no service, or one did not start.`

const options = {
  'prometheus-port': { type: 'string', default: '9090' },
  'alertmanager-port': { type: 'string', default: '9093' },
  rules: { type: 'string' },
} as const

const used = pick('ALERT_WEBHOOK_URL', 'DATA_DIR', 'KEEP_METRICS_DAYS', 'SCRAPE_SECONDS', 'SLO_URL')

/** Prometheus replays its log before it answers, which takes long for a month. */
const readyMs = 120_000
/** Deadline of slo's answer, which a stopped process never gives. */
const answerMs = 10_000

export type Stack = {
  prometheus: string
  /** Null without a webhook. */
  alertmanager: string | null
  /** Resolves with the name of the first program that ends before `stop`. */
  ended: Promise<string>
  stop(): Promise<void>
}

/** @throws when a part is missing, ends at once or does not become ready. */
export async function startStack(options: {
  folder: string
  endpoints: Readonly<Record<string, string>>
  /** In place of the targets that `endpoints` names. */
  targetsFile?: string
  rules: RuleFile | string
  scrapeSeconds: number
  /** Age in days at which Prometheus removes samples; 0: never. */
  keepDays: number
  prometheusPort: number
  alertmanagerPort: number
  /** The address that Alertmanager notifies; null starts no Alertmanager. */
  webhook: URL | null
}): Promise<Stack> {
  const { folder, endpoints, targetsFile: file, scrapeSeconds, webhook } = options
  const prometheus = `127.0.0.1:${options.prometheusPort}`
  const alertmanager = webhook && `127.0.0.1:${options.alertmanagerPort}`
  // Before the first start: a program that runs would keep the command from ending.
  const paths = { prometheus: findPart('prometheus'), alertmanager: webhook ? findPart('alertmanager') : '' }
  // Debian's Prometheus does not lock its data, which two would damage.
  const leave = ownFolder(folder)
  if (leave === 'taken') throw new ExpectedError(`another npm run stack uses ${folder}: stop it first`)
  const files = {
    'rules.yml': typeof options.rules === 'string' ? options.rules : ruleYaml(options.rules),
    ...(webhook && {
      'alertmanager.yml': stringify(
        alertmanagerConfig({ webhook: webhook.href, deadman: `${endpoints.sloAdmin}/alerts` }),
      ),
    }),
    'prometheus.yml': stringify(
      prometheusConfig({ scrapeSeconds, targets: file ? { file } : targetsOf(endpoints), alertmanager }),
    ),
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  const programs = [
    ...(alertmanager
      ? [
          start('alertmanager', paths, folder, [
            '--config.file=alertmanager.yml',
            '--storage.path=alertmanager',
            `--web.listen-address=${alertmanager}`,
            // A single Alertmanager, which must not search for a cluster.
            '--cluster.listen-address=',
          ]),
        ]
      : []),
    start('prometheus', paths, folder, [
      '--config.file=prometheus.yml',
      '--storage.tsdb.path=prometheus',
      `--web.listen-address=${prometheus}`,
      // Prometheus would take 0 for its default of 15 days.
      `--storage.tsdb.retention.time=${options.keepDays === 0 ? '100y' : `${options.keepDays}d`}`,
      '--enable-feature=exemplar-storage',
    ]),
  ]
  const stop = async () => {
    await Promise.all(programs.map(each => each.stop()))
    leave()
  }
  const ended = Promise.race(programs.map(each => each.ended))
  const addresses = [prometheus, ...(alertmanager ? [alertmanager] : [])]
  const starting = new AbortController()
  const ready = addresses.map(address => isReady(`http://${address}/-/ready`, starting.signal))
  const first = await Promise.race([ended, Promise.all(ready)])
  starting.abort()
  if (typeof first === 'string' || first.includes(false)) {
    await stop()
    throw new ExpectedError(
      typeof first === 'string' ? `${first} ended` : 'Prometheus or Alertmanager is not ready',
    )
  }
  return {
    prometheus: `http://${prometheus}`,
    alertmanager: alertmanager && `http://${alertmanager}`,
    ended,
    stop,
  }
}

type Name = 'prometheus' | 'alertmanager'

function findPart(name: Name): string {
  const program = part(name)
  if (!program) throw new ExpectedError(`${name} is missing: npm run parts`)
  return program
}

function start(name: Name, paths: Record<Name, string>, folder: string, args: string[]) {
  const child: ChildProcess = spawn(...endingWithUs(paths[name], [...args, '--log.level=warn']), {
    cwd: folder,
    env: plainEnvironment(process.env),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  // Standard error is not inherited, because a Go program ends when its reader does.
  forwardStderr(child)
  const exited = once(child, 'exit')
  return {
    ended: exited.then(() => name),
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  for (const deadline = Date.now() + readyMs; Date.now() < deadline && !signal.aborted; await sleep(100)) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return true
  }
  return false
}

async function main(args: string[]): Promise<number> {
  const { values } = readArguments(args, options)
  const config = readConfig(process.env, used)
  const [prometheusPort = 0, alertmanagerPort = 0] = (['prometheus-port', 'alertmanager-port'] as const).map(
    name => {
      const number = port(0).parse(values[name])
      if (number) return number
      throw new UsageError(`--${name} "${values[name]}" is not a port number`)
    },
  )
  const endpoints = readJsonFile<Record<string, string>>(join(config.DATA_DIR, 'endpoints.json'), {})
  // A killed launcher leaves the file: Prometheus would scrape what is not there.
  const signal = AbortSignal.timeout(answerMs)
  const answer = await fetch(`${endpoints?.sloAdmin}/livez`, { signal }).catch(() => undefined)
  if (!(endpoints && answer))
    throw new ExpectedError(`no service runs on ${config.DATA_DIR}: npm start, then npm run stack`)
  const { objectives, service } = readDirectory()
  const pages = config.SLO_URL?.href ?? (endpoints.slo && fromHere(endpoints.slo))
  // Listens before the start, so that a signal during it stops both programs. SIGHUP is that of a closed terminal, at
  // which the two read their configuration again and go on.
  const asked = once(stopSignal(), 'abort').then(() => undefined)
  const stack = await startStack({
    folder: join(config.DATA_DIR, 'stack'),
    endpoints,
    // The launcher rewrites it: a release starts processes at other ports.
    targetsFile: resolve(config.DATA_DIR, 'targets.json'),
    rules: values.rules ? readFileSync(values.rules, 'utf8') : rules(objectives, service, pages),
    scrapeSeconds: config.SCRAPE_SECONDS,
    keepDays: config.KEEP_METRICS_DAYS,
    prometheusPort,
    alertmanagerPort,
    webhook: config.ALERT_WEBHOOK_URL,
  })
  const notified = stack.alertmanager ?? 'not started, because ALERT_WEBHOOK_URL is unset'
  console.log(`Prometheus    ${stack.prometheus}\nAlertmanager  ${notified}`)
  const ended = await Promise.race([asked, stack.ended])
  if (ended) console.error(`${ended} ended early`)
  await stack.stop()
  return ended ? 1 : 0
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = await runCommand(args, usage, () => main(args))
}
