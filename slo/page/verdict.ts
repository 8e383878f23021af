import { find, h } from '@tintype/lib/page/browser/dom.ts'
import { duration } from '@tintype/lib/page/browser/language.ts'
import { type Diagnosis, post, type State } from './api.ts'
import { clock, significant, wholePercent } from './format.ts'
import { table } from './parts.ts'
import { say, words } from './words.ts'

type Verdict = Diagnosis['verdict']

/** From this share on, diagnose takes a resource for the cause. */
const named = 0.5
let drawn = ''

/** What diagnose said, what it rests on, and what can be done; for who may not ask and has no answer, nothing. */
export function showVerdict(state: State, refresh: () => Promise<void>): void {
  const { diagnosis, detail, mayAct, begun } = state
  const section = find('#verdict')
  section.hidden = !diagnosis && !(mayAct && begun)
  // It is asked again each quarter of a minute: what is being read or pressed stays as it is.
  const now = JSON.stringify([diagnosis, detail, mayAct])
  if (now === drawn) return
  drawn = now
  find('#verdict-answer').replaceChildren(
    h(
      'article',
      { class: 'sheet verdict', 'data-state': stateOf(diagnosis) },
      ...(diagnosis ? answer(diagnosis, state) : [h('p', { class: 'soft' }, words.notAsked)]),
      actions(state, refresh),
    ),
  )
}

function stateOf(diagnosis: Diagnosis | null): string {
  if (!diagnosis || diagnosis.verdict.verdict === 'unknown') return 'unknown'
  return diagnosis.verdict.verdict === 'healthy' ? 'kept' : 'late'
}

function answer({ at, verdict, examples }: Diagnosis, { logs }: State): HTMLElement[] {
  const { lever, confidence, since, evidence, lacking } = verdict
  const remarks = [...verdict.replicas, ...verdict.context, ...verdict.remarks]
  const slow = isSlow(verdict)
  const [lost] = verdict.stages.toSorted((a, b) => b.growth - a.growth)
  const more = [
    // What is slow in one stage can keep the work waiting in another.
    ...(slow && lost && lost.stage !== verdict.verdict ? [words.lostIn(say(lost.stage), lost.share)] : []),
    ...(verdict.also && verdict.also.stage !== verdict.verdict
      ? [words.also(say(verdict.also.stage), verdict.also.share)]
      : []),
  ]
  const facts = [
    words.seenAt(clock(at)),
    ...(since ? [words.slowSince(clock(since))] : []),
    ...(slow ? [words.sure(confidence)] : []),
  ]
  return [
    h('p', { class: 'lead' }, ...sentence(verdict)),
    h('p', { class: 'small soft' }, [facts.join(' · '), ...more].join('. ')),
    ...(remarks.length > 0 ? [h('p', { class: 'small', lang: 'en' }, remarks.join('; '))] : []),
    ...(lever
      ? [h('p', { class: 'notice' }, h('strong', {}, words.toDo), ': ', h('span', { lang: 'en' }, lever))]
      : []),
    ...(slow ? [h('div', { class: 'wide small' }, stageTable(verdict))] : []),
    ...(evidence.length > 0
      ? [h('h3', {}, words.evidence), h('div', { class: 'wide small evidence' }, evidenceTable(verdict))]
      : []),
    ...(slow ? part(words.ruledOut, ruledOut(verdict)) : []),
    ...(lacking.length > 0
      ? [
          h(
            'details',
            { class: 'small' },
            h('summary', {}, `${words.lackingData}: ${lacking.length}`),
            h('ul', {}, ...lacking.map(metric => h('li', {}, h('code', {}, metric)))),
          ),
        ]
      : []),
    ...part(
      words.examples,
      examples.map(example => exampleOf(example, logs)),
    ),
  ]
}

const isSlow = ({ verdict }: Verdict): boolean => verdict !== 'healthy' && verdict !== 'unknown'

function sentence(found: Verdict): (HTMLElement | string)[] {
  const { verdict, cause } = found
  if (verdict === 'unknown') return [words.noVerdict]
  if (!isSlow(found)) return [cause ? words.healthyBut(cause) : words.healthy]
  const why = cause ? [` ${words.becauseOf} `, h('strong', {}, cause)] : [` ${words.unexplained}`]
  return [`${words.slowIn} `, h('strong', {}, say(verdict)), ',', ...why, '.']
}

/** The stages with a bar of how long each took before and takes now, all on one scale. */
function stageTable({ stages }: Verdict): HTMLElement {
  const longest = Math.max(0.001, ...stages.flatMap(({ baseline, now }) => [baseline ?? 0, now ?? 0]))
  const bar = (seconds: number | null, grew: boolean) => {
    const element = h('span', { class: 'took-bar', 'data-grew': grew })
    element.style.width = `${((seconds ?? 0) / longest) * 100}%`
    return h('span', { class: 'took' }, element)
  }
  const cells = (seconds: number | null, grew: boolean) =>
    h('td', {}, seconds === null ? words.noData : duration(seconds), bar(seconds, grew))
  const body = stages.map(({ stage, baseline, now, growth, share }) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, say(stage)),
      cells(baseline, false),
      cells(now, growth > 0),
      h('td', { class: 'number' }, growth > 0 ? wholePercent(share) : '–'),
    ),
  )
  return h(
    'table',
    { class: 'stages-took' },
    h('thead', {}, h('tr', {}, ...words.stageColumns.map(name => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, ...body),
  )
}

const evidenceTable = ({ evidence }: Verdict): HTMLElement =>
  table(
    words.evidenceColumns,
    evidence.map(({ cause, metric, baseline, now, explains }) => [
      cause,
      measured(baseline),
      measured(now),
      wholePercent(explains),
      metric,
    ]),
  )

const measured = (value: number | null): string => (value === null ? words.noData : significant(value))

function ruledOut({ verdict, stages, evidence }: Verdict): string[] {
  const same = stages
    .filter(({ stage, growth, now }) => growth === 0 && now !== null && stage !== verdict)
    .map(({ stage }) => say(stage))
  const little = evidence.filter(({ explains }) => explains < named).map(({ cause }) => cause)
  return [
    ...(same.length > 0 ? [words.notSlower(same.join(', '))] : []),
    ...(little.length > 0 ? [words.explainsLittle([...new Set(little)].join(', '))] : []),
  ]
}

/** Each key by which the log server finds the work is a link to it. */
function exampleOf({ seconds, ...keys }: Diagnosis['examples'][number], logs: string): HTMLElement {
  const links = Object.entries(keys).map(([name, key]) =>
    logs === ''
      ? h('span', {}, `${say(name)} `, h('code', {}, String(key)))
      : h('a', { href: `${logs}/?key=${key}` }, say(name)),
  )
  return h(
    'span',
    {},
    `${duration(Number(seconds))}: `,
    ...links.flatMap((link, i) => (i === 0 ? [link] : [' · ', link])),
  )
}

const part = (title: string, items: (HTMLElement | string)[]): HTMLElement[] =>
  items.length === 0
    ? []
    : [h('h3', {}, title), h('ul', { class: 'small' }, ...items.map(item => h('li', {}, item)))]

function actions({ diagnosis, detail, mayAct, program }: State, refresh: () => Promise<void>): HTMLElement {
  const said = h(
    'output',
    { class: 'small' },
    detail ? words.raised(say(detail.stage), clock(detail.until)) : '',
  )
  const button = (text: string, click: EventListener, primary = false) =>
    h('button', { type: 'button', class: primary ? 'primary' : '', click }, text)
  const ask = (path: string, body = {}) => act(() => post(path, body), said, refresh)
  const stage = diagnosis && isSlow(diagnosis.verdict) ? diagnosis.verdict.verdict : null
  return h(
    'div',
    { class: 'row actions' },
    ...(mayAct && stage && !detail
      ? [button(words.raise(say(stage)), ask('api/detail', { stage }), true)]
      : []),
    ...(mayAct ? [button(diagnosis ? words.lookAgain : words.look, ask('api/diagnosis'))] : []),
    ...(diagnosis ? [h('a', { class: 'button quiet', href: 'note' }, words.note)] : []),
    ...(stage && !mayAct
      ? [
          h(
            'span',
            { class: 'small soft' },
            `${words.raiseThere} `,
            h('code', {}, `${program} diagnose --detail`),
          ),
        ]
      : []),
    said,
  )
}

const act =
  (what: () => Promise<void>, said: HTMLElement, refresh: () => Promise<void>) =>
  async ({ currentTarget }: Event): Promise<void> => {
    const button = currentTarget as HTMLButtonElement
    button.disabled = true
    said.textContent = words.looking
    try {
      await what()
      said.textContent = ''
      await refresh()
    } catch (error) {
      said.textContent = (error as Error).message
    }
    button.disabled = false
  }
