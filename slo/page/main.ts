import { choices } from '@tintype/lib/page/browser/choices.ts'
import { find, h } from '@tintype/lib/page/browser/dom.ts'
import { translate } from '@tintype/lib/page/browser/language.ts'
import { showNavigation } from '@tintype/lib/page/browser/navigation.ts'
import { alertHistory, whatIfLanes } from './alerts.ts'
import {
  type FitAnswer,
  get,
  type ObjectiveState,
  type Stages,
  type State,
  type UnderWay,
  type WhatIf,
} from './api.ts'
import { card, firstNumbers, presentState, summary } from './cards.ts'
import { clock } from './format.ts'
import { table } from './parts.ts'
import { stageLanes } from './stages.ts'
import { clamp, dayStrips, type Zoom, zooms } from './strip.ts'
import { showVerdict } from './verdict.ts'
import { learn, say, words } from './words.ts'

const refreshMs = 15_000
/** Evaluated each minute; after three it is no longer known. */
const staleMs = 180_000

const address = new URL(location.href)
let zoom: Zoom = clamp({
  hours: zooms.find(hours => String(hours) === address.searchParams.get('hours')) ?? 24,
  until: Number(address.searchParams.get('until') ?? 0),
})

/** The time that an alert's link is about; null shows now. */
const earlier = address.searchParams.get('at')

/** What is looked at is in the address, to be sent to a colleague. */
function remember(changes: Record<string, string>): void {
  for (const [name, value] of Object.entries(changes)) address.searchParams.set(name, value)
  history.replaceState(null, '', address)
}

function draw(state: State): void {
  const { objectives, at, seenAt, planned, begun } = state
  learn(state)
  const stale = Date.parse(at) - Date.parse(seenAt) > staleMs
  find('#lead').textContent = begun ? summary(objectives) : words.waiting(clock(firstNumbers(at)))
  const notice = find('#notice')
  notice.hidden = !stale && earlier === null
  if (earlier === null) notice.textContent = stale ? words.stale(clock(seenAt)) : ''
  else notice.replaceChildren(words.asItWas(shortTime(at)), ' ', h('a', { href: '?' }, words.showNow))
  find('#kept').textContent = words.keptFor(state.keepDays.minutes, state.keepDays.traces)
  showVerdict(state, refresh)
  drawState(objectives, stale || !begun)
  find('#cards').replaceChildren(...objectives.map(card))
  drawDay(objectives)
  find('#alerts').replaceChildren(alertHistory(objectives))
  const rows = planned.map(({ from, to, reason }) => [shortTime(from), clock(to), reason])
  find('#planned').replaceChildren(
    rows.length > 0
      ? table(words.plannedColumns, rows)
      : h('p', { class: 'soft small' }, words.noPlanned(state.program)),
  )
}

function drawState(objectives: ObjectiveState[], stale: boolean): void {
  const element = find('#state')
  const now = presentState(objectives)
  element.dataset.state = stale ? 'unknown' : now.state
  element.textContent = stale ? words.unknown : now.text
}

function drawDay(objectives: ObjectiveState[]): void {
  const show = (next: Zoom) => {
    zoom = next
    remember({ hours: String(zoom.hours), until: String(zoom.until) })
    drawDay(objectives)
  }
  find('#zoom').replaceChildren(
    ...zooms.map(hours =>
      h(
        'button',
        {
          type: 'button',
          class: 'quiet',
          'aria-pressed': String(hours === zoom.hours),
          click: () => show(clamp({ ...zoom, hours })),
        },
        words.hours(hours),
      ),
    ),
  )
  find('#day').replaceChildren(dayStrips(objectives, zoom, show))
}

async function answerFits(): Promise<void> {
  const form = new FormData(find<HTMLFormElement>('#fits'))
  const query = new URLSearchParams({ minutes: String(form.get('minutes')), at: String(form.get('at')) })
  const answer = await get<FitAnswer>(`api/fits?${query}`)
  find('#fits-answer').textContent =
    answer.leftAfter === undefined
      ? words.fitsUnclear
      : answer.fits
        ? words.fitsYes(answer.leftAfter)
        : words.fitsNo(-answer.leftAfter, answer.earliest && shortTime(answer.earliest))
}

const shortTime = (time: string): string => time.slice(0, 16).replace('T', ' ')

async function answerWhatIf(): Promise<void> {
  const outage = find<HTMLInputElement>('#whatif input').value
  remember({ outage })
  const answer = await get<WhatIf>(`api/what-if?outage=${encodeURIComponent(outage)}`)
  find('#whatif-answer').replaceChildren(
    'detail' in answer
      ? h('pre', { class: 'small soft' }, answer.detail)
      : whatIfLanes(answer.minutes, answer.alerts),
  )
}

async function refresh(): Promise<void> {
  try {
    draw(await get<State>(`api/state${earlier === null ? '' : `?at=${encodeURIComponent(earlier)}`}`))
  } catch {
    find('#notice').hidden = false
    find('#notice').textContent = words.away
    find('#state').dataset.state = 'unknown'
    find('#state').textContent = words.unknown
  }
}

async function refreshStages(): Promise<void> {
  const stages = await get<Stages>('api/stages?hours=3')
  find('#stages-section').hidden = stages.stages.length === 0
  stageLanes(stages, find('#stages'))
}

/** Both versions side by side, while a release runs. */
async function refreshRelease(): Promise<void> {
  const underWay = await get<UnderWay | null>('api/release')
  find('#release').hidden = !underWay?.look
  if (!underWay?.look) return
  const { percent, promises } = underWay.look
  const side = ({ bad, total }: { bad: number; total: number }) => words.brokenOf(bad, total)
  const rows = promises.map(each => [say(each.objective), side(each.old), side(each.new)])
  find('#release-sides').replaceChildren(
    h('p', {}, words.releaseShare(percent, underWay.to)),
    table(words.releaseColumns, rows),
  )
}

translate(words)
find('#choices').append(choices())
void showNavigation('promises')
find('#fits').addEventListener('submit', event => {
  event.preventDefault()
  void answerFits()
})
find<HTMLInputElement>('#whatif input').value = address.searchParams.get('outage') ?? 'full 10m'
find('#whatif').addEventListener('submit', event => {
  event.preventDefault()
  void answerWhatIf()
})
await refresh()
await Promise.all([refreshStages(), refreshRelease(), answerWhatIf()].map(each => each.catch(() => {})))
document.documentElement.dataset.ready = 'true'
if (earlier === null) setInterval(() => void refresh(), refreshMs)
setInterval(() => void refreshRelease().catch(() => {}), refreshMs)
setInterval(() => void refreshStages().catch(() => {}), 4 * refreshMs)
