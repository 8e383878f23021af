import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { budgetLine } from '../alerts/text.ts'
import { type Directory, program } from '../directory.ts'
import type { View } from '../serve/view.ts'
import type { Example, Logged } from './open-examples.ts'
import type { Verdict } from './verdict.ts'

export type Incident = {
  verdict: Verdict
  examples: readonly Example[]
  atMs: number
  directory: Pick<Directory, 'folder' | 'service'>
  views: readonly Pick<View, 'standing' | 'firings'>[]
  /** Numbers from debug entries while detail was raised. */
  logged?: readonly Logged[]
}

const clock = (time: string | number) => `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`
const number = (value: number | null): string =>
  value === null ? 'no data' : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
const percent = (share: number): string => `${Math.round(share * 100)} %`
const code = (metric: string): string => `\`${metric.replaceAll('|', '\\|')}\``
const list = (lines: readonly string[]): string => lines.map(line => `- ${line}`).join('\n')

/** The address of a cause's runbook, relative to the pages; null when the service's directory has none. */
export function runbookOf({ folder, service }: Pick<Directory, 'folder' | 'service'>, cause: string | null) {
  const page = `cause-${cause}.md`
  return cause && existsSync(resolve(folder, service.runbooks, page)) ? `docs/runbooks/${page}` : null
}

export function sentence(found: Verdict): string {
  const { replicas } = found
  const named = replicas.slice(0, maxReplicas).map(each => `${each}.`)
  const more = replicas.length > maxReplicas ? [`And ${replicas.length - maxReplicas} more processes.`] : []
  return [ofAll(found), ...named, ...more].join(' ')
}

/** Processes named in a sentence. Chat services refuse a message of more than 2,000 characters. */
const maxReplicas = 3

function ofAll({ verdict, cause, confidence, also, remarks }: Verdict): string {
  if (verdict === 'healthy')
    return cause === null ? 'Healthy: no stage takes longer than it did.' : `No stage is slow, but: ${cause}.`
  if (verdict === 'unknown') return `Unknown: no cause can be named (${remarks.join('; ')}).`
  const named = cause === null ? 'for a reason that no metric explains' : `because of ${cause}`
  const why = also?.cause ? `, because of ${also.cause}` : ''
  const second = also ? ` Also slower: ${also.stage}${why} (${percent(also.share)} of the growth).` : ''
  return `Slow in ${verdict}, ${named} (confidence ${percent(confidence)}).${second}`
}

/** An incident as Markdown, for a second person who joins. */
export function incidentNote(incident: Incident): string {
  const { verdict: found, examples, directory, views, logged = [] } = incident
  const teams = Object.entries(directory.service.answering)
  const [responsible] = teams.find(([, causes]) => found.cause && causes.includes(found.cause)) ?? []
  const at = clock(incident.atMs)
  const firing = views.flatMap(({ firings }) => firings.filter(({ clears }) => clears === null))
  const firstAlert = Math.min(...firing.map(({ fires }) => fires))
  const isHealthy = found.verdict === 'healthy'
  const begun = found.since
    ? `${clock(found.since)}: ${found.verdict} left its baseline`
    : 'its beginning is unknown'
  const timeline = [
    ...(isHealthy ? [] : [begun]),
    firing.length === 0 ? 'no alert fires' : `${clock(firstAlert * 60_000)}: the first alert`,
    ...found.context,
    `${at}: this note`,
    '…: what was done, by whom, what it changed',
  ]
  const evidence = found.evidence.map(
    each =>
      `| ${code(each.metric)} | ${number(each.baseline)} | ${number(each.now)} | ${percent(each.explains)} |`,
  )
  const proof = `| metric | before | now | explains |
| --- | --- | --- | --- |
${evidence.join('\n')}

To check it: each in PromQL, at the time of this note; with \`offset\`, before.
${list(found.evidence.map(({ query }) => `\`${query}\``))}`
  const stages = found.stages.map(
    ({ stage, baseline, now, share, lacked }) =>
      `| ${stage} | ${number(baseline)} | ${number(now)} | ${percent(share)} | ${lacked.map(code).join(', ')} |`,
  )
  const runbook = runbookOf(directory, found.cause)
  return `# ${isHealthy ? 'No incident' : 'Incident'}, seen ${at}

**${sentence(found)}**

## Timeline
${list(timeline)}

## Budgets
${list(views.length === 0 ? ['no minute of that time is known'] : views.map(({ standing }) => budgetLine(standing)))}

## Evidence
${evidence.length === 0 ? 'no metric left its baseline' : proof}

| stage | before (s) | now (s) | of the growth | had no data |
| --- | --- | --- | --- | --- |
${stages.join('\n')}${logged.length === 0 ? '' : `\n\nLogged while detail was raised (means):\n${list(logged.map(loggedLine))}`}

## Do first
${found.lever ?? withoutAction(found)}${runbook ? `\nRunbook: ${runbook}` : ''}

## Look at
${list(examples.length === 0 ? ['no example was found'] : examples.map(each => exampleLine(each, directory)))}

## Who else needs to know
- ${responsible ?? 'the person who knows the stage best: no resource was named'}
- the next person on call

## What would have shown the cause at once
${list(toAdd(found))}
`
}

function withoutAction({ verdict }: Verdict): string {
  if (verdict === 'healthy') return 'Nothing: no stage takes longer than before.'
  if (verdict === 'unknown') return `No stage is named: look again in two minutes (${program} diagnose).`
  return `Raise detail for the stage (${program} diagnose --detail) and look again in two minutes.`
}

/** The alert and the metrics that would have shown the cause directly. */
function toAdd({ cause, evidence: [best], verdict, stages }: Verdict): string[] {
  const lacked = stages.find(({ stage }) => stage === verdict)?.lacked ?? []
  return [
    cause && best
      ? `an alert on \`${best.query}\` ${best.now < (best.baseline ?? 0) ? 'below' : 'above'} ${number((best.now + (best.baseline ?? 0)) / 2)}, half-way from what is usual`
      : 'a metric for what took the time: none that is read left its baseline',
    ...(lacked.length > 0 ? [`data for ${lacked.map(code).join(', ')}, which had none`] : []),
  ]
}

const loggedLine = ({ what, mean, times }: Logged): string => `${what} ${number(mean)} (${times} times)`

/** An example's duration, its keys, and the command that shows it. */
function exampleLine({ seconds, ...keys }: Example, { service }: Incident['directory']): string {
  const facts = Object.entries(keys).map(([name, value]) => `${name} ${value}`)
  const command = service.exampleCommand.replace(/\$(\w+)/g, (_, name: string) => String(keys[name] ?? ''))
  return [`${seconds} s, ${facts.join(', ')}`, command].filter(Boolean).join(': ')
}

/** An incident for the terminal: the sentence, the stages as bars, the evidence, and what to do. */
export function terminal({ verdict: found, examples, directory, logged = [] }: Incident): string {
  const seconds = (value: number | null) => (value === null ? number(value) : `${number(value)} s`)
  const longest = Math.max(...found.stages.map(({ now }) => now ?? 0), 0.001)
  const stageWidth = Math.max(8, ...found.stages.map(({ stage }) => stage.length))
  const causeWidth = Math.max(15, ...found.evidence.map(({ cause }) => cause.length))
  const bar = (seconds: number | null) =>
    '█'.repeat(Math.round(((seconds ?? 0) / longest) * 30)).padEnd(30, '·')
  const lines = [
    sentence(found),
    ...(found.since ? [`since ${clock(found.since)}`] : []),
    ...found.context,
    '',
    ...found.stages.map(
      ({ stage, baseline, now, growth }) =>
        `${stage.padEnd(stageWidth)} ${bar(now)} ${seconds(now)}, before ${seconds(baseline)}${growth > 0 ? '  ◀ grew' : ''}`,
    ),
    '',
    ...found.evidence.map(
      ({ cause, metric, baseline, now, explains }) =>
        `${cause.padEnd(causeWidth)} explains ${percent(explains)}: ${metric} ${number(baseline)} → ${number(now)}`,
    ),
    ...found.evidence.slice(0, 1).map(({ query }) => `check: ${query}`),
    ...logged.map(each => `detail: ${loggedLine(each)}`),
    ...found.stages
      .filter(({ lacked }) => lacked.length > 0)
      .map(({ stage, had, lacked }) => {
        const names = had.length > 0 ? `; no data: ${lacked.join(', ')}` : ''
        return `${stage}: ${had.length} of ${had.length + lacked.length} metrics had data${names}`
      }),
    ...(found.lever ? ['', `do: ${found.lever}`] : []),
    ...examples.map(each => `see: ${exampleLine(each, directory)}`),
  ]
  return lines.join('\n')
}
