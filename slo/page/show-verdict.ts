import { type Content, find, h, redraw } from '@tintype/lib/page/browser/dom.ts'
import { duration, inLanguage } from '@tintype/lib/page/browser/language.ts'
import { pageAddresses } from '@tintype/lib/page/browser/navigation.ts'
import type { Verdict } from '../diagnose/verdict.ts'
import { type Diagnosis, post, type State } from './api.ts'
import { clock, joined, moment, significant, wholePercent } from './format.ts'
import { folded, runbookLink, table, wide } from './parts.ts'
import { translated, translatedRemark, word } from './words.ts'

/** From this share on, diagnose takes a resource for the cause. */
const named = 0.5
let drawn = ''

/** The last verdict, its evidence, and what can be done. Hidden where there is none and the viewer may not ask for one. */
export async function showVerdict(state: State, refresh: () => Promise<void>): Promise<void> {
  const { diagnosis, detail, mayAct, begun, comparesFrom } = state
  const { logs } = await pageAddresses
  find('#verdict').hidden = !diagnosis && !comparesFrom && !(mayAct && begun)
  // The state is read each 15 s: an unchanged verdict is not drawn again, or a button would lose its focus.
  const now = JSON.stringify([diagnosis, detail, mayAct, comparesFrom])
  if (now === drawn) return
  drawn = now
  redraw(
    find('#verdict-answer'),
    h(
      'article',
      { class: 'sheet verdict', 'data-state': stateOf(diagnosis) },
      diagnosis ? answer(diagnosis, logs) : h('p', { class: 'soft' }, word('notAsked')),
      // A stage that is named was compared, or needed no comparison.
      comparesFrom &&
        !(diagnosis && isSlow(diagnosis.verdict)) &&
        h('p', { class: 'small' }, word('comparesFrom', { time: clock(comparesFrom) })),
      actions(state, refresh),
    ),
  )
}

function stateOf(diagnosis: Diagnosis | null): string {
  if (!diagnosis || diagnosis.verdict.verdict === 'unknown') return 'unknown'
  return diagnosis.verdict.verdict === 'healthy' ? 'kept' : 'late'
}

function answer(diagnosis: Diagnosis, logs: string | undefined): Content[] {
  const { verdict, examples, runbook } = diagnosis
  const { lever, evidence, lacking } = verdict
  const written = [...verdict.replicas, ...verdict.context, ...verdict.remarks]
  const remarks = written.map(translatedRemark)
  const isEnglish = remarks.some(each => written.includes(each))
  const slow = isSlow(verdict)
  const linked = examples.map(example => exampleOf(example, logs))
  return [
    h('p', { class: 'lead' }, sentence(verdict)),
    h('p', { class: 'small soft' }, facts(diagnosis)),
    remarks.length > 0 && h('p', { class: 'small', lang: isEnglish && 'en' }, remarks.join('; ')),
    lever && h('p', { class: 'notice' }, toDo(lever), runbook && [' · ', runbookLink(runbook)]),
    slow && wide(stageTable(verdict), word('stages')),
    evidence.length > 0 && [
      h('h3', {}, word('evidence')),
      wide(evidenceTable(verdict), word('evidence'), 'evidence'),
    ],
    slow && list(word('ruledOut'), ruledOut(verdict)),
    lacking.length > 0 &&
      folded(word('lackingData', { n: lacking.length }), items(lacking.map(metric => h('code', {}, metric)))),
    list(word('examples'), linked),
  ]
}

const toDo = (lever: string): Content => [
  ...[h('strong', {}, word('toDo')), ': '],
  h('span', { lang: translated(lever) === lever && 'en' }, translated(lever)),
]

const isSlow = ({ verdict }: Verdict): boolean => verdict !== 'healthy' && verdict !== 'unknown'

function sentence(found: Verdict): Content {
  const { verdict, cause } = found
  if (verdict === 'unknown') return word('noVerdict')
  if (!isSlow(found)) return cause ? word('healthyBut', { cause }) : word('healthy')
  const why = cause ? [word('becauseOf'), ' ', h('strong', {}, cause)] : word('unexplained')
  return [`${word('slowIn')} `, h('strong', {}, translated(verdict)), ', ', why, '.']
}

function facts({ at, verdict: found }: Diagnosis): string {
  const { verdict, confidence, since, stages, also } = found
  const slow = isSlow(found)
  // A stage that is slow can keep the work waiting in another one.
  const [lost] = stages.toSorted((a, b) => b.growth - a.growth)
  const first = joined(
    ' · ',
    word('seenAt', { time: clock(at) }),
    since && word('slowSince', { time: moment(since, at) }),
    slow && word('confidence', { share: wholePercent(confidence) }),
  )
  const shareOf = (each: { stage: string; share: number }) => ({
    stage: translated(each.stage),
    share: wholePercent(each.share),
  })
  return joined(
    '. ',
    first,
    slow && lost && lost.stage !== verdict && word('lostIn', shareOf(lost)),
    also && also.stage !== verdict && word('also', shareOf(also)),
  )
}

/** The stages with a bar of how long each took before and takes now, all on one scale. */
function stageTable({ stages }: Verdict): HTMLElement {
  const longest = Math.max(0.001, ...stages.flatMap(({ baseline, now }) => [baseline ?? 0, now ?? 0]))
  const time = (seconds: number | null, grew: boolean) => {
    const bar = h('span', { class: 'took-bar', 'data-grew': grew })
    bar.style.width = `${((seconds ?? 0) / longest) * 100}%`
    const text = seconds === null ? word('noData') : duration(seconds)
    return h('div', {}, text, h('span', { class: 'took' }, bar))
  }
  const rows = stages.map(({ stage, baseline, now, growth, share }) => [
    translated(stage),
    time(baseline, false),
    time(now, growth > 0),
    growth > 0 ? wholePercent(share) : '–',
  ])
  return table(word('stageColumns'), rows, { class: 'stages-took' })
}

const evidenceTable = ({ evidence }: Verdict): HTMLElement =>
  table(
    word('evidenceColumns'),
    evidence.map(({ cause, metric, baseline, now, explains }) => [
      cause,
      measured(baseline),
      measured(now),
      wholePercent(explains),
      metric,
    ]),
  )

const measured = (value: number | null): string => (value === null ? word('noData') : significant(value))

function ruledOut({ verdict, stages, evidence }: Verdict): string[] {
  const same = stages
    .filter(({ stage, growth, now }) => growth === 0 && now !== null && stage !== verdict)
    .map(({ stage }) => translated(stage))
  const little = new Set(evidence.filter(({ explains }) => explains < named).map(({ cause }) => cause))
  return [
    ...(same.length > 0 ? [word('notSlower', { names: same.join(', ') })] : []),
    ...(little.size > 0 ? [word('explainsLittle', { names: [...little].join(', ') })] : []),
  ]
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

const items = (all: readonly (HTMLElement | string)[]): HTMLElement =>
  h('ul', { class: 'small' }, ...all.map(each => h('li', {}, each)))

const list = (title: string, all: readonly (HTMLElement | string)[]): Content =>
  all.length > 0 && [h('h3', {}, title), items(all)]

function actions({ diagnosis, detail, mayAct, program }: State, refresh: () => Promise<void>): HTMLElement {
  const outcome = h('output', { class: 'small' })
  if (detail)
    outcome.textContent = word('raised', { stage: translated(detail.stage), time: clock(detail.until) })
  const button = (text: string, path: string, body = {}, primary = false) => {
    const click = act(() => post(path, body), outcome, refresh)
    return h('button', { type: 'button', class: primary && 'primary', click }, text)
  }
  const stage = diagnosis && isSlow(diagnosis.verdict) ? diagnosis.verdict.verdict : null
  const command = h('code', {}, `${program} diagnose --detail`)
  return h(
    'div',
    { class: 'row actions' },
    mayAct &&
      stage &&
      !detail &&
      button(word('raise', { stage: translated(stage) }), 'api/detail', { stage }, true),
    mayAct && button(word(diagnosis ? 'lookAgain' : 'look'), 'api/diagnosis'),
    diagnosis && h('a', { class: 'button quiet', href: 'note' }, word('note')),
    stage && !mayAct && h('span', { class: 'small soft' }, word('raiseThere'), ' ', command),
    outcome,
  )
}

const act =
  (request: () => Promise<string | null>, outcome: HTMLElement, refresh: () => Promise<void>) =>
  async ({ currentTarget }: Event): Promise<void> => {
    const button = currentTarget as HTMLButtonElement
    button.disabled = true
    outcome.textContent = word('looking')
    const refused = await request().catch(() => word('away'))
    outcome.textContent = refused
    if (refused === null) await refresh()
    button.disabled = false
  }
