import { find, h, redraw } from '@tintype/lib/page/browser/dom.ts'
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
import { card, summary } from './cards.ts'
import { moment, shortTime } from './format.ts'
import { refreshMs, showLive } from './live.ts'
import { table } from './parts.ts'
import { showVerdict } from './show-verdict.ts'
import { stageLanes } from './stages.ts'
import { clamp, dayStrips, usefulZooms, type Zoom, zooms } from './strip.ts'
import { translated, word } from './words.ts'

const address = new URL(location.href)
let zoom: Zoom = clamp({
  hours: zooms.find(hours => String(hours) === address.searchParams.get('hours')) ?? 24,
  until: Number(address.searchParams.get('until')) || 0,
})

/** The time that an alert's link is about; null shows now. */
const earlier = address.searchParams.get('at')

/** Keeps what is shown in the address, so that the address can be sent to a colleague. */
function remember(changes: Record<string, string>): void {
  for (const [name, value] of Object.entries(changes)) address.searchParams.set(name, value)
  history.replaceState(null, '', address)
}

function draw(state: State, refresh: () => Promise<void>): Promise<void> {
  const { objectives, planned, keepDays } = state
  const kept = (days: number, some: 'minutesKept' | 'tracesKept') =>
    word(days > 0 ? some : `${some}Forever`, { n: days })
  find('#kept').textContent =
    `${kept(keepDays.minutes, 'minutesKept')} ${kept(keepDays.traces, 'tracesKept')}`
  redraw(find('#cards'), ...objectives.map(card))
  latest = objectives
  drawDay()
  redraw(find('#alerts'), alertHistory(objectives))
  const begin = objectives[0]?.strip.from ?? state.at
  const recent = planned.filter(({ to }) => to > begin)
  const rows = recent.map(({ from, to, reason }) => [shortTime(from), moment(to, from), reason])
  redraw(
    find('#planned'),
    rows.length > 0
      ? table(word('plannedColumns'), rows)
      : h('p', { class: 'soft small' }, word('noPlanned', { program: state.program })),
  )
  return showVerdict(state, refresh)
}

/** Buttons that look the same are not made again: they show what was read last. */
let latest: ObjectiveState[] = []

function drawDay(): void {
  const show = (next: Zoom) => {
    zoom = next
    remember({ hours: String(zoom.hours), until: String(zoom.until) })
    drawDay()
  }
  const useful = usefulZooms(latest)
  const buttons = useful.map(hours => {
    const pressed = String(hours === zoom.hours)
    const click = () => show(clamp({ ...zoom, hours }))
    const attributes = { type: 'button', class: 'quiet', 'aria-pressed': pressed, click }
    return h('button', attributes, word('hours', { n: hours }))
  })
  redraw(find('#zoom'), ...(useful.length > 1 ? buttons : []))
  redraw(find('#day'), dayStrips(latest, zoom, show))
}

async function answerFits(): Promise<void> {
  const form = new FormData(find<HTMLFormElement>('#fits'))
  const query = new URLSearchParams({ minutes: String(form.get('minutes')), at: String(form.get('at')) })
  const answer = await get<FitAnswer>(`api/fits?${query}`)
  find('#fits-answer').textContent = 'refused' in answer ? word('fitsUnclear') : fitText(answer)
}

const fitText = ({ leftAfter, fits }: FitAnswer): string =>
  fits ? word('fitsYes', { n: leftAfter }) : word('fitsNo', { n: Math.ceil(-leftAfter) })

async function answerWhatIf(): Promise<void> {
  const outage = find<HTMLInputElement>('#whatif input').value
  remember({ outage })
  const answer = await get<WhatIf>(`api/what-if?outage=${encodeURIComponent(outage)}`)
  find('#whatif-answer').replaceChildren(
    'refused' in answer
      ? h('pre', { class: 'small soft' }, answer.refused)
      : whatIfLanes(answer.minutes, answer.alerts),
  )
}

let drawStages = () => {}

async function refreshStages(): Promise<void> {
  const read = await get<Stages>('api/stages')
  find('#stages-section').hidden = 'refused' in read || read.stages.length === 0
  if ('refused' in read) return
  drawStages = () => stageLanes(read, find('#stages'))
  drawStages()
}

/** Both versions side by side, while a release runs. */
async function refreshRelease(): Promise<void> {
  const underWay = await get<UnderWay | null>('api/release')
  find('#release').hidden = true
  if (!underWay || 'refused' in underWay || !underWay.look) return
  find('#release').hidden = false
  const { percent, objectives } = underWay.look
  const rows = objectives.map(each => [
    translated(each.objective),
    word('badOf', each.old),
    word('badOf', each.new),
  ])
  find('#release-sides').replaceChildren(
    h('p', {}, word('releaseShare', { percent, version: underWay.to })),
    table(word('releaseColumns'), rows),
  )
}

function onSubmit(form: string, answer: () => Promise<void>): void {
  find(form).addEventListener('submit', event => {
    event.preventDefault()
    answer().catch(() => find(`${form}-answer`).replaceChildren(word('away')))
  })
}

onSubmit('#fits', answerFits)
onSubmit('#whatif', answerWhatIf)
find<HTMLInputElement>('#whatif input').value = address.searchParams.get('outage') ?? 'full 10m'
await showLive({ name: 'objectives', lead: summary, draw }, earlier)
await Promise.all([refreshStages(), refreshRelease(), answerWhatIf()].map(each => each.catch(() => {})))
document.documentElement.dataset.ready = 'true'
// The charts are canvases, which keep their size and colours.
addEventListener('resize', () => drawStages())
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawStages())
find('#choices').addEventListener('change', () => drawStages())
setInterval(() => void refreshRelease().catch(() => {}), refreshMs)
setInterval(() => void refreshStages().catch(() => {}), 4 * refreshMs)
