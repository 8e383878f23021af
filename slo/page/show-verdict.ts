import { type Content, find, h, redraw } from '@tintype/lib/page/browser/dom.ts'
import { duration, inLanguage } from '@tintype/lib/page/browser/language.ts'
import { pageAddresses } from '@tintype/lib/page/browser/navigation.ts'
import type { Verdict } from '../diagnose/verdict.ts'
import { type Diagnosis, post, type State } from './api.ts'
import { folded, runbookLink, table } from './parts.ts'
import { joined, moment, say, significant, translated, translatedRemark, wholePercent } from './words.ts'

/** The last verdict, its evidence, and what can be done. Hidden where there is none and the viewer may not ask for one. */
export async function showVerdict(state: State, refresh: () => Promise<void>): Promise<void> {
  const { at, diagnosis, detail, mayAct, begun, comparesFrom } = state
  const { logs } = await pageAddresses
  find('#verdict').hidden = !diagnosis && !comparesFrom && !(mayAct && begun)
  // All of the verdict would be read out each minute while a budget burns.
  redraw(find('#verdict-said'), diagnosis ? h('p', {}, sentence(diagnosis.verdict)).textContent : '')
  const isNamed = diagnosis !== null && isSlow(diagnosis.verdict)
  const small = (text: string) => h('p', { class: 'small' }, text)
  const content = [
    diagnosis ? answer(diagnosis, logs, at) : h('p', { class: 'soft' }, say('notAsked')),
    // A verdict has its own remark about it, whose first sample may be of another minute.
    comparesFrom && !diagnosis && small(say('comparesFrom', { time: moment(comparesFrom, at) })),
    detail && small(say('raised', { stage: translated(detail.stage), time: moment(detail.until, at) })),
    actions(state, refresh),
  ]
  const attributes = { class: 'sheet verdict', 'data-state': isNamed && 'late' }
  redraw(find('#verdict-answer'), h('article', attributes, content))
}

function answer(diagnosis: Diagnosis, logs: string | undefined, now: string): Content[] {
  const { verdict, examples, runbook } = diagnosis
  const { lever, evidence, stages } = verdict
  const missing = [...new Set(stages.flatMap(({ lacked }) => lacked))].map(metric => h('code', {}, metric))
  const found = examples.map(example => exampleOf(example, logs))
  const written = [...verdict.replicas, ...verdict.context, ...verdict.remarks]
  const remarks = written.map(translatedRemark)
  const isEnglish = remarks.some(each => written.includes(each))
  return [
    h('p', { class: 'lead' }, sentence(verdict)),
    h('p', { class: 'small soft' }, facts(diagnosis, now)),
    remarks.length > 0 && h('p', { class: 'small', lang: isEnglish && 'en' }, remarks.join('; ')),
    lever && h('p', { class: 'notice' }, toDo(lever), runbook && [' · ', runbookLink(runbook)]),
    isSlow(verdict) && stageTable(verdict),
    evidence.length > 0 && [h('h3', {}, say('evidence')), evidenceTable(verdict)],
    missing.length > 0 && folded(say('lackingData', { n: missing.length }), items(missing)),
    found.length > 0 && [h('h3', {}, say('examples')), items(found)],
  ]
}

const toDo = (lever: string): Content => [
  ...[h('strong', {}, say('toDo')), ': '],
  h('span', { lang: translated(lever) === lever && 'en' }, translated(lever)),
]

const isSlow = ({ verdict }: Verdict): boolean => verdict !== 'healthy' && verdict !== 'unknown'

function sentence(found: Verdict): Content {
  const { verdict, cause } = found
  if (verdict === 'unknown') return say('noVerdict')
  if (!isSlow(found)) return cause ? say('healthyBut', { cause }) : say('healthy')
  const why = cause ? [say('becauseOf'), ' ', h('strong', {}, cause)] : say('unexplained')
  return [`${say('slowIn')} `, h('strong', {}, translated(verdict)), ', ', why, '.']
}

const facts = ({ at, verdict }: Diagnosis, now: string): string =>
  joined(
    ' · ',
    say('seenAt', { time: moment(at, now) }),
    verdict.since && say('slowSince', { time: moment(verdict.since, at) }),
    isSlow(verdict) && say('confidence', { share: wholePercent(verdict.confidence) }),
  )

/** The stages with a bar of how long each took before and takes now, all on one scale. */
function stageTable({ stages }: Verdict): HTMLElement {
  const longest = Math.max(0.001, ...stages.flatMap(({ baseline, now }) => [baseline ?? 0, now ?? 0]))
  const time = (seconds: number | null, grew: boolean) => {
    const style = { width: `${((seconds ?? 0) / longest) * 100}%` }
    const bar = h('span', { class: 'took-bar', 'data-grew': grew, style })
    const text = seconds === null ? say('noData') : duration(seconds)
    return h('div', {}, text, h('span', { class: 'took' }, bar))
  }
  const rows = stages.map(({ stage, baseline, now, growth, share }) => {
    const ofGrowth = growth > 0 ? wholePercent(share) : '–'
    return [translated(stage), time(baseline, false), time(now, growth > 0), ofGrowth]
  })
  return table(say('stages'), say('stageColumns'), rows, 'stages-took')
}

function evidenceTable({ evidence }: Verdict): HTMLElement {
  const measured = (value: number | null) => (value === null ? say('noData') : significant(value))
  const rows = evidence.map(({ cause, metric, baseline, now, explains }) => {
    return [cause, measured(baseline), measured(now), wholePercent(explains), metric]
  })
  return table(say('evidence'), say('evidenceColumns'), rows, 'evidence')
}

/** Each key by which the log server finds the work is a link to it, where this browser reaches its page. */
function exampleOf({ seconds, ...keys }: Diagnosis['examples'][number], logs?: string): HTMLElement {
  const links = Object.entries(keys).map(([name, key], i) => [
    i > 0 && ' · ',
    logs
      ? h('a', { href: inLanguage(`${logs}?key=${encodeURIComponent(key)}`) }, translated(name))
      : h('span', {}, `${translated(name)} `, h('code', {}, String(key))),
  ])
  return h('span', {}, `${duration(Number(seconds))}: `, links)
}

const items = (all: readonly HTMLElement[]): HTMLElement =>
  h('ul', { class: 'small' }, ...all.map(each => h('li', {}, each)))

/** Whether slo works on a click. The button is not disabled meanwhile: a browser would take the focus from it. */
let isWorking = false

function actions({ diagnosis, detail, mayAct }: State, refresh: () => Promise<void>): HTMLElement {
  const button = (text: string, path: string, body = {}, primary = false) => {
    const click = async () => {
      if (isWorking) return
      isWorking = true
      const outcome = find('#verdict-outcome')
      outcome.textContent = say('looking')
      const refused = await post(path, body).catch(() => say('away'))
      isWorking = false
      outcome.textContent = refused
      if (refused === null) await refresh()
    }
    return h('button', { type: 'button', id: path, class: primary && 'primary', click }, text)
  }
  const stage = diagnosis && isSlow(diagnosis.verdict) ? diagnosis.verdict.verdict : null
  const raise = (stage: string) =>
    button(say('raise', { stage: translated(stage) }), 'api/detail', { stage }, true)
  const look = button(say(diagnosis ? 'lookAgain' : 'look'), 'api/diagnosis')
  const note = diagnosis && h('a', { class: 'button quiet', href: 'note' }, say('note'))
  return h('div', { class: 'row actions' }, mayAct && [stage && !detail && raise(stage), look], note)
}
