import { readFileSync } from 'node:fs'
import { stringify } from 'yaml'
import { percentDown } from '../math/standing.ts'
import { slug } from '../objectives/objectives.ts'
import { boundMatcher } from '../sources/selector.ts'
import type { Discovered } from './discover.ts'

/** The largest usual target below the measured share of good events. Below 0.9 no page could fire. */
const targetFor = (good: number): number => [0.999, 0.99, 0.95].find(target => good > target) ?? 0.9

/** The files of a first directory, by path, from the templates in first/. */
export function firstDirectory(found: Discovered, prometheus: string): Record<string, string> {
  const { requests, durations } = found
  const values = valuesOf(found, prometheus)
  return {
    'service.yaml': `${fill('service', values)}${durations ? fill('stages', values) : ''}`,
    ...(requests && { 'objectives/requests.yaml': fill('requests', values) }),
    ...(durations && { 'objectives/latency.yaml': fill('latency', values) }),
    'objectives/up.yaml': fill('up', values),
  }
}

type Values = Readonly<Record<string, string | number | undefined>>

function valuesOf(found: Discovered, prometheus: string): Values {
  const { job, requests, durations, probe, process, scrapeSeconds = 15 } = found
  // A selector, escaped for YAML's single quotes.
  const ofJob = `job=${JSON.stringify(job)}`.replaceAll("'", "''")
  const withJob = (counted = '') => [ofJob, counted].filter(Boolean).join()
  return {
    service: stringify(slug(job).slice(0, 63).replace(/-$/, '') || 'service').trim(),
    job: JSON.stringify(job),
    ofJob,
    // A password does not belong into a file that others read.
    prometheus: URL.parse(prometheus)?.password ? `\${PROMETHEUS_URL}` : prometheus,
    scrapeSeconds: Math.min(60, Math.max(1, scrapeSeconds)),
    ...Object.fromEntries([...process].map(metric => [metric, metric])),
    online: probe ? `min(${probe}` : 'max(up',
    ...(requests && {
      requests: requests.metric,
      ofCounted: withJob(requests.counted),
      failed: requests.failed,
      succeeded: percentDown(1 - requests.share),
      requestTarget: targetFor(1 - requests.share),
    }),
    ...(durations && {
      durations: durations.histogram,
      ofTimed: withJob(durations.counted),
      // The page draws this histogram in seconds.
      histogram: aSecond(durations) === 1 ? durations.histogram : undefined,
      inSeconds: aSecond(durations) === 1 ? '' : ` / ${aSecond(durations)}`,
      le: /^\d+(\.0)?$/.test(durations.le) ? boundMatcher(Number(durations.le)) : `le="${durations.le}"`,
      bound: boundSeconds(durations),
      fast: percentDown(durations.share),
      latencyTarget: targetFor(durations.share),
    }),
  }
}

type Durations = NonNullable<Discovered['durations']>
/** A histogram's units per second, by its name. Prometheus' unit, the second, is assumed when the name has none. */
const aSecond = ({ histogram }: Durations): number =>
  /_(milliseconds|millis|ms)$/.test(histogram) ? 1e3 : /_(microseconds|micros|us)$/.test(histogram) ? 1e6 : 1

export const boundSeconds = (durations: Durations): number => Number(durations.le) / aSecond(durations)

/** Fills a template's <placeholders>. A line with an unknown value is removed with its comment; so is a list left empty. */
function fill(template: string, values: Values): string {
  return readFileSync(new URL(`first/${template}.yaml`, import.meta.url), 'utf8')
    .replaceAll(/(?:^# .*\n)?^.*<\w+>.*\n/gm, lines =>
      [...lines.matchAll(/<(\w+)>/g)].every(([, name = '']) => values[name] !== undefined) ? lines : '',
    )
    .replaceAll(/(?:^# .*\n)?^\w+:\n(?! )/gm, '')
    .replaceAll(/<(\w+)>/g, (_, name: string) => String(values[name]))
}
