import { find, h, readOften, redraw } from '@tintype/lib/page/browser/dom.ts'
import { inLanguage } from '@tintype/lib/page/browser/language.ts'
import { pageAddresses } from '@tintype/lib/page/browser/navigation.ts'
import { getJson, serverNow, staleMs } from '@tintype/lib/page/browser/server.ts'
import { say } from './words.ts'

/** What slo wrote, or the sentence for when there is nothing: none before the first answer. */
type Status = { online: boolean | null; budgetLeftMinutes: number; budgetMinutes: number; at: string }
type Shown = Status | '' | 'notMeasured' | 'stale'
/** Why this browser does not reach the service, or only as someone else each time: its cookie does not arrive. */
export type Unreached = '' | 'offline' | 'downLead' | 'signIn' | 'noSession'

const readEveryMs = 30_000

/**
 * Updates the page's first sentence (is the service online?) and the header's budget, which shows an explanation when it
 * is opened. Returns what to call with why this browser does not reach the service.
 */
export function showStatus(): (why: Unreached) => void {
  let last: Shown = ''
  let unreached: Unreached = ''
  const show = () => {
    const { state, lead, short, budget } = describe(last, unreached)
    for (const selector of ['#state', '#status']) find(selector).dataset.state = state
    redraw(find('#state'), lead)
    redraw(find('#status'), short)
    redraw(find('#budget p'), budget)
    find('#budget').hidden = short === ''
  }
  const read = async () => {
    last = await getJson<Status>('status.json').then(
      status => (status.online === null ? 'notMeasured' : status), // until the minute of the first journey is over
      ({ status }) => (status === 404 ? 'notMeasured' : last || 'stale'),
    )
    show()
  }
  void readOften(readEveryMs, read)
  void pageAddresses.then(({ status }) => {
    if (status) find('#budget .sheet').append(h('a', { href: inLanguage(status) }, say('statusPage')))
  })
  const budget = find<HTMLDetailsElement>('#budget')
  budget.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape') return
    budget.open = false
    find('#status').focus()
  })
  // It covers the page's first sentence.
  for (const event of ['pointerdown', 'focusin'])
    addEventListener(event, ({ target }) => {
      if (!budget.contains(target as Node)) budget.open = false
    })
  return why => {
    unreached = why
    show()
  }
}

function describe(status: Shown, unreached: Unreached) {
  const unknown = { state: 'unknown', lead: '', short: '', budget: '' }
  if (unreached) return { ...unknown, state: 'late', lead: say(unreached) }
  if (typeof status === 'string') return { ...unknown, lead: status && say(status) }
  const [left, of] = [Math.max(0, Math.floor(status.budgetLeftMinutes)), Math.floor(status.budgetMinutes)]
  const at = new Date(status.at)
  const budget = say('budgetMeans', { left, of, at })
  if (serverNow() - at.getTime() > staleMs)
    return { state: 'unknown', lead: say('stale'), short: say('unknownSince', { at }), budget }
  const short = `${status.online ? say('online') : say('down')} · ${say('budget', { left, of })}`
  if (!status.online) return { state: 'broken', lead: say('downLead'), short, budget }
  return { state: left > 0 ? 'good' : 'late', lead: say('onlineLead'), short, budget }
}
