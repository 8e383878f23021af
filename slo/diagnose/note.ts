import type { Objective } from '../source/index.ts'
import type { Standing } from '../standing.ts'
import type { Evidence, Verdict } from './diagnose.ts'
import type { Example } from './examples.ts'

export type Incident = {
  verdict: Verdict
  examples: readonly Example[]
  atMs: number
  /** What the promises say: a line each, from the report. */
  promises: readonly string[]
}

const clock = (iso: string): string => `${iso.slice(0, 19).replace('T', ' ')} UTC`
const number = (value: number | null): string =>
  value === null ? 'no data' : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)

/** What is left of a promise's budget. */
export function promiseLine({ displayName, method }: Objective, { budget, budgetLeft }: Standing): string {
  const unit = method === 'Timeslices' ? 'minutes' : 'broken photos'
  return `${displayName}: ${Math.max(0, Math.floor(budgetLeft))} of ${Math.floor(budget)} ${unit} left`
}

/** The verdict in one sentence. */
export function sentence({ verdict, cause, confidence, also }: Verdict): string {
  if (verdict === 'healthy')
    return cause === null
      ? 'Healthy: no stage takes longer than it did.'
      : `Photos are not slow, but: ${cause}.`
  if (verdict === 'unknown') return 'Unknown: there is not enough data to say.'
  const named = cause === null ? 'for a reason that no metric explains' : `because of ${cause}`
  const second = also ? ` Also slower: ${also.stage} (${Math.round(also.share * 100)} % of the growth).` : ''
  return `Slow in ${verdict}, ${named} (confidence ${Math.round(confidence * 100)} %).${second}`
}

/** An incident as Markdown that a second person can join without asking the first. */
export function incidentNote({ verdict: found, examples, atMs, promises }: Incident): string {
  const at = clock(new Date(atMs).toISOString())
  const lines = [
    `# Incident, seen ${at}`,
    '',
    `**${sentence(found)}**`,
    '',
    '## Timeline',
    `- ${found.since ? `${clock(found.since)}: ${found.verdict} left its baseline` : 'when it began is not known'}`,
    `- ${at}: this note`,
    '- …: what was done, by whom, what it changed',
    '',
    '## Promises',
    ...promises.map(line => `- ${line}`),
    '',
    '## Evidence',
    '| metric | before | now | explains |',
    '|---|---|---|---|',
    ...found.evidence.map(row),
    '',
    '| stage | before (s) | now (s) | of the growth |',
    '|---|---|---|---|',
    ...found.stages.map(
      ({ stage, baseline, now, share }) =>
        `| ${stage} | ${number(baseline)} | ${number(now)} | ${Math.round(share * 100)} % |`,
    ),
    '',
    '## Do first',
    found.lever ??
      'Raise detail for the stage (npm run slo -- diagnose --detail) and look again in two minutes.',
    '',
    '## Look at',
    ...examples.map(
      ({ traceId, photo, session, seconds }) =>
        `- photo ${photo}, ${seconds} s: npm run logs -- timeline --session ${session} (trace ${traceId})`,
    ),
    ...(examples.length === 0 ? ['- no example trace was found'] : []),
    '',
    '## Who else needs to know',
    '- whoever answers for the resource named above; whoever is on call next',
    '',
    '## So that it is known at once next time',
    '- what did we look for and not find? Add that metric, panel or alert.',
  ]
  return `${lines.join('\n')}\n`
}

const row = ({ metric, baseline, now, explains }: Evidence): string =>
  `| \`${metric.replaceAll('|', '\\|')}\` | ${number(baseline)} | ${number(now)} | ${Math.round(explains * 100)} % |`

/** For the terminal: the sentence, the stages as bars, the evidence, what to do. */
export function terminal({ verdict: found, examples }: Incident): string {
  const longest = Math.max(...found.stages.map(({ now }) => now ?? 0), 0.001)
  const bar = (seconds: number | null) =>
    '█'.repeat(Math.round(((seconds ?? 0) / longest) * 30)).padEnd(30, '·')
  const lines = [
    sentence(found),
    ...(found.since ? [`since ${clock(found.since)}`] : []),
    '',
    ...found.stages.map(
      ({ stage, baseline, now, growth }) =>
        `${stage.padEnd(8)} ${bar(now)} ${number(now)} s, before ${number(baseline)} s${growth > 0 ? '  ◀ grew' : ''}`,
    ),
    '',
    ...found.evidence.map(
      ({ cause, metric, baseline, now, explains }) =>
        `${cause.padEnd(15)} explains ${Math.round(explains * 100)} %: ${metric} ${number(baseline)} → ${number(now)}`,
    ),
    ...(found.lever ? ['', `do: ${found.lever}`] : []),
    ...examples.map(
      ({ session, seconds, photo }) =>
        `see: npm run logs -- timeline --session ${session}  (${photo}, ${seconds} s)`,
    ),
  ]
  return lines.join('\n')
}
