import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UsageError } from '@tintype/lib/command-line.ts'
import { readConfig } from '@tintype/lib/config.ts'
import { makeFolder } from '@tintype/lib/disk.ts'
import { pick } from '@tintype/lib/variables.ts'
import { intoFile, program } from '../directory.ts'
import { SourceError } from '../sources/index.ts'
import { type PrometheusApi, prometheusApi } from '../sources/prometheus-api.ts'
import { unscoped } from '../sources/promql.ts'
import { status, type Verb } from './context.ts'
import { discover } from './discover.ts'
import { boundSeconds, firstDirectory } from './first.ts'

export const run: Verb = async ({ prometheus: given, job: wanted, paths }, context) => {
  const { environment, nowMs, print } = context
  const config = readConfig(environment, pick('PROMETHEUS_URL', 'PROMETHEUS_HEADERS'))
  const prometheus = given || config.PROMETHEUS_URL
  const [folder = context.folder, ...more] = paths
  if (!prometheus || more.length > 0) throw new UsageError('give --prometheus URL and one DIR at most')
  const api = prometheusApi(prometheus, { ...unscoped, headers: config.PROMETHEUS_HEADERS })
  const atSeconds = Math.floor(nowMs / 1000)
  const job = await chooseJob(api, wanted, atSeconds)
  const found = await discover(api, job, atSeconds)
  const files = Object.entries(firstDirectory(found, prometheus)).map(
    ([path, text]) => [join(folder, path), text] as const,
  )
  const [there] = files.filter(([file]) => existsSync(file))
  if (there) throw new UsageError(`${there[0]} already exists: give another DIR`)
  for (const [file, text] of files) {
    makeFolder(dirname(file))
    writeFileSync(file, text)
    print(`wrote ${file}`)
  }
  const { requests, durations, scrapeSeconds = 0 } = found
  const typed = shellWord(folder)
  print(`
job         ${job}
requests    ${requests ? `${requests.metric}, failed when ${requests.failed}` : `no counter with a status was found: the objective is that ${found.probe ?? 'up'} is 1`}
scrapes     ${scrapeSeconds > 30 ? `each ${scrapeSeconds} s: minutes without a sample are offline, scrape it each 30 s, of which one may be late` : scrapeSeconds > 0 ? `each ${scrapeSeconds} s` : 'of the last 10 minutes: fewer than two'}
durations   ${durations ? `${durations.histogram}, in time within ${boundSeconds(durations)} s` : 'no histogram was found'}

Next, after you have read the files:
  ${program} lint --config ${typed}
  ${program} report --config ${typed}
  ${program} serve --config ${typed}
  ${intoFile} rules --config ${typed} > rules.yml`)
  return status.good
}

/** A text as one word of a shell, also with a space or an apostrophe in it. */
export const shellWord = (text: string): string =>
  /^[\p{L}\d./_-]+$/u.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

async function chooseJob(api: PrometheusApi, given: string | undefined, atSeconds: number): Promise<string> {
  const jobs = await api.labelValues('job', ['up'], atSeconds - 3600, atSeconds)
  if (jobs.length === 0) throw new SourceError('no target was scraped within the last hour')
  const [job = '', other] = given === undefined ? jobs : [given]
  if (other) throw new UsageError(`there are several jobs, choose one by --job: ${jobs.join(', ')}`)
  if (!jobs.includes(job)) throw new UsageError(`no job "${job}": the jobs are ${jobs.join(', ')}`)
  return job
}
