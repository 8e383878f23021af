import { find, h, readOften, redraw } from '@tintype/lib/page/browser/dom.ts'
import { showNavigation, signInText, startPage } from '@tintype/lib/page/browser/navigation.ts'
import { getJson, Refusal, staleMs } from '@tintype/lib/page/browser/server.ts'
import type { ObjectiveState, State } from './api.ts'
import { presentState } from './cards.ts'
import { addressAt } from './parts.ts'
import texts from './words.json' with { type: 'json' }
import { clock, learn, moment, objectivesName, say, shortTime } from './words.ts'

export const refreshMs = 15_000

type Page = {
  name: 'objectives' | 'status'
  /** The state in one sentence. */
  lead(objectives: ObjectiveState[]): string
  draw(state: State, refresh: () => Promise<void>): void | Promise<void>
}

/** Draws a page from slo's state: each 15 s, or once as it was at `earlier`. */
export async function showLive(page: Page, earlier: string | null = null): Promise<void> {
  const path = earlier === null ? 'api/state' : `api/state?at=${encodeURIComponent(earlier)}`
  const said = earlier === null ? {} : { 400: say('atUnclear'), 404: say('atNotKept') }
  let isNamed = false
  const refresh = async (): Promise<void> => {
    const state = await getJson<State>(path).catch(error => show(refusalOf(error, said)))
    if (!state) return
    learn(state)
    if (!isNamed) nameObjectives(page.name)
    isNamed = true
    showState(state, page, earlier)
    await page.draw(state, refresh)
  }
  startPage(page.name, texts)
  await (earlier === null ? readOften(refreshMs, refresh) : refresh())
}

/** The title and the navigation have the name that the directory gives its objectives. */
function nameObjectives(page: Page['name']): void {
  document.title += `: ${page === 'status' ? say('status') : objectivesName()}`
  void showNavigation(page, { objectives: objectivesName() })
}

/** The text for this status in the page's language, else what slo says, or that it does not answer. */
export const refusalOf = (error: { status?: number }, said: Record<number, string> = {}): string =>
  said[error.status ?? 0] ?? signInText(error) ?? (error instanceof Refusal ? error.message : say('away'))

function showState({ objectives, at, seenAt, begun }: State, page: Page, earlier: string | null): void {
  const stale = Date.parse(at) - Date.parse(seenAt) > staleMs
  const lead = begun ? page.lead(objectives) : say('waiting', { time: clock(firstNumbers(at)) })
  const { state, text } = presentState(stale || !begun ? [] : objectives)
  show(stale ? say('stale', { time: moment(seenAt, at) }) : lead, state, text)
  find('#notice').hidden = earlier === null
  const showNow = h('a', { href: addressAt(null) }, say('showNow'))
  find('#notice').replaceChildren(say('asItWas', { time: shortTime(at) }), ' ', showNow)
}

function show(lead: string, state = 'unknown', text = say('unknown')): void {
  redraw(find('#lead'), lead)
  find('#state').dataset.state = state
  redraw(find('#state'), text)
}

/** When the first numbers are shown: after the first whole minute and the evaluation that follows it. */
const firstNumbers = (at: string): number => (Math.floor(Date.parse(at) / 60_000) + 2) * 60_000
