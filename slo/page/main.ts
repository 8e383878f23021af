import { find, h, readOften, redraw } from '@tintype/lib/page/browser/dom.ts'
import { getJson } from '@tintype/lib/page/browser/server.ts'
import { alertTable, whatIfLanes } from './alerts.ts'
import type { FitAnswer, ObjectiveState, Stages, State, UnderWay, WhatIf } from './api.ts'
import { card, summary } from './cards.ts'
import { refreshMs, refusalOf, showLive } from './live.ts'
import { plannedTable, table } from './parts.ts'
import { showVerdict } from './show-verdict.ts'
import { stageLanes } from './stages.ts'
import { dayFacts, dayStrips, usefulZooms, zooms } from './strip.ts'
import { say, translated } from './words.ts'

const address = new URL(location.href)
let shownHours: number = zooms.find(hours => String(hours) === address.searchParams.get('hours')) ?? 24

/** The time that an alert's link is about; null shows now. */
const earlier = address.searchParams.get('at') || null

/** Keeps what is shown in the address, so that the address can be sent to a colleague. */
function remember(name: string, value: string): void {
  address.searchParams.set(name, value)
  history.replaceState(null, '', address)
}

function draw(state: State, refresh: () => Promise<void>): Promise<void> {
  const { objectives, planned } = state
  redraw(find('#cards'), ...objectives.map(card))
  latest = objectives
  drawDay()
  redraw(find('#alerts'), alertTable(objectives))
  const begin = objectives[0]?.strip.from ?? state.at
  const recent = planned.filter(({ to }) => to > begin)
  const none = h('p', { class: 'soft small' }, say('noPlanned', { program: state.program }))
  redraw(find('#planned'), recent.length > 0 ? plannedTable(recent) : none)
  // The buttons act on what is now.
  return showVerdict({ ...state, mayAct: state.mayAct && earlier === null }, refresh)
}

/** The objectives of the last state. A button's click reads them here, because `redraw` keeps an unchanged button. */
let latest: ObjectiveState[] = []

function drawDay(): void {
  const useful = usefulZooms(latest)
  const buttons = useful.map(hours => {
    const click = () => {
      shownHours = hours
      remember('hours', String(hours))
      drawDay()
      showNewest()
    }
    const attributes = { type: 'button', class: 'quiet', 'aria-pressed': `${hours === shownHours}`, click }
    return h('button', attributes, say('hours', { n: hours }))
  })
  redraw(find('#zoom'), useful.length > 1 && buttons)
  redraw(find('#day'), dayStrips(latest, shownHours))
  redraw(find('#day-facts'), dayFacts(latest))
}

function answerFits(): Promise<string> {
  const form = new FormData(find<HTMLFormElement>('#fits'))
  const query = new URLSearchParams([...form].map(([name, value]) => [name, String(value).trim()]))
  const said = { 400: say('fitsUnclear'), 404: say('fitsNone') }
  return getJson<FitAnswer>(`api/fits?${query}`).then(fitText, error => refusalOf(error, said))
}

const fitText = ({ leftAfter, fits }: FitAnswer): string =>
  fits ? say('fitsYes', { n: leftAfter }) : say('fitsNo', { n: Math.ceil(-leftAfter) })

function answerWhatIf(): Promise<HTMLElement> {
  const outage = find<HTMLInputElement>('#whatif input').value
  remember('outage', outage)
  return getJson<WhatIf>(`api/what-if?outage=${encodeURIComponent(outage)}`).then(
    ({ minutes, alerts }) => whatIfLanes(minutes, alerts),
    error => {
      const said = { 400: say('whatIfUnclear', { detail: error.message }) }
      return h('pre', { class: 'small soft' }, refusalOf(error, said))
    },
  )
}

const showNewest = () => find('#day').scrollTo({ left: find('#day').scrollWidth })

async function refreshStages(): Promise<void> {
  const read = await getJson<Stages>('api/stages')
  find('#stages-section').hidden = read.stages.length === 0
  redraw(find('#stages'), stageLanes(read))
}

/** Both versions side by side, while a release runs. */
async function refreshRelease(): Promise<void> {
  const underWay = await getJson<UnderWay | null>('api/release')
  find('#release').hidden = !underWay?.look
  if (!underWay?.look) return
  const { percent, objectives } = underWay.look
  const badOf = (each: (typeof objectives)[number]) => [say('badOf', each.old), say('badOf', each.new)]
  const rows = objectives.map(each => [translated(each.objective), ...badOf(each)])
  const share = h('p', {}, say('releaseShare', { percent, version: underWay.to }))
  redraw(find('#release-sides'), share, table(say('release'), say('releaseColumns'), rows))
}

function onSubmit(form: string, answer: () => Promise<string | HTMLElement>): () => Promise<void> {
  let asked = 0
  const show = async () => {
    const number = ++asked
    const answered = await answer()
    // An earlier question may be answered after a later one.
    if (number === asked) find(`${form}-answer`).replaceChildren(answered)
  }
  find(form).addEventListener('submit', event => {
    event.preventDefault()
    void show()
  })
  return show
}

onSubmit('#fits', answerFits)
const showWhatIf = onSubmit('#whatif', answerWhatIf)
find<HTMLInputElement>('#whatif input').value = address.searchParams.get('outage') ?? 'full 10m'
await showLive({ name: 'objectives', lead: summary, draw }, earlier)
showNewest()
/** Stages and releases are those of now. */
const readNow = () => Promise.all([refreshStages(), refreshRelease()].map(each => each.catch(() => {})))
await Promise.all([showWhatIf(), earlier === null && readOften(2 * refreshMs, readNow)])
document.documentElement.dataset.ready = 'true'
