import { limits } from '@tintype/lib/limits.ts'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, test } from 'vitest'
import { sampleIn, temporaryFolder, until } from '../../test/support.ts'
import { type AlertBook, openBook } from '../alerts/book.ts'
import type { Alert } from '../alerts/notifier.ts'
import { readObjectives } from '../objectives/objectives.ts'
import type { Minute, Objective, Slot, Source } from '../sources/index.ts'
import type { Diagnosis } from './diagnosis.ts'
import { createHistory, type History } from './history.ts'
import { expectSign } from './sign.ts'
import { viewOf } from './view.ts'
import { silence, startWatch } from './watch.ts'

const begin = 29_454_240
const objective = readObjectives().find(({ name }) => name === 'availability') as Objective

/** A source that is well until it is away. */
function source() {
  const state = { away: false, asked: 0 }
  const slots = async (_: unknown, from: Minute, to: Minute): Promise<Slot[]> => {
    if (state.away) throw new Error('away')
    state.asked += to - from
    return Array.from({ length: to - from }, (_, i) => {
      const known = from + i >= begin
      return { start: from + i, good: known ? 4 : 0, total: known ? 4 : 0, unknown: !known }
    })
  }
  const fake: Source = {
    slots,
    labelValues: async () => [],
    seenBefore: async () => false,
    close: async () => {},
  }
  return { state, fake }
}

test('each minute asks for a few minutes, and what is known stays whole', async () => {
  const { state, fake } = source()
  const history = createHistory(objective, fake)
  await history.refresh(begin + 100)
  state.asked = 0
  for (let now = begin + 101; now < begin + 1_100; now++) await history.refresh(now)
  expect(state.asked / 999).toBeLessThan(12)
  const { from, to, slots } = history.known()
  expect(slots).toHaveLength(to - from)
  expect(slots.every(({ start }, i) => start === from + i)).toBe(true)
})

/** Each refresh from then on fails, and the seven minutes to come are offline and alert. */
async function expectBlind(history: History, from: Minute): Promise<void> {
  for (let now = from; now <= begin + 107; now++) await expect(history.refresh(now)).rejects.toThrow('away')
  const blind = viewOf(objective, history.known(), begin, begin + 107)
  expect(blind.standing).toMatchObject({ bad: 7, unknown: 7 })
  expect(blind.firings.map(({ tier }) => tier.name)).toEqual(['page-fast'])
}

test('a clock that was a year ahead leaves nothing behind once it is right again', async () => {
  const { fake } = source()
  const history = createHistory(objective, fake)
  await history.refresh(begin + 100 + 365 * 1440)
  await history.refresh(begin + 100)
  expect(viewOf(objective, history.known(), begin, begin + 100).standing).toMatchObject({ good: 100, bad: 0 })
})

test('while the source is away its minutes are unknown, so that what is known still alerts, and heal', async () => {
  const { state, fake } = source()
  const history = createHistory(objective, fake)
  await history.refresh(begin + 100)
  state.away = true
  await expectBlind(history, begin + 101)
  state.away = false
  await history.refresh(begin + 108)
  expect(viewOf(objective, history.known(), begin, begin + 108).standing.bad).toBe(0)
})

test('a source that is away from the start is offline from then on, and whole once it is back', async () => {
  const { state, fake } = source()
  const history = createHistory(objective, fake)
  state.away = true
  await expectBlind(history, begin + 100)
  state.away = false
  await history.refresh(begin + 108)
  expect(viewOf(objective, history.known(), begin, begin + 108).standing).toMatchObject({ good: 108, bad: 0 })
})

function watching(fake: Source, book: AlertBook) {
  const said: string[] = []
  const told: (readonly Alert[])[] = []
  const note = (event: string) => void said.push(event)
  const metrics = createMetrics('slo', '0')
  const watch = startWatch({
    histories: [createHistory(objective, fake)],
    source: fake,
    notifier: { update: async firing => void told.push(firing), stop: async () => {} },
    book,
    metrics,
    heartbeat: null,
    diagnosis: { look: async () => {}, found: () => null } as unknown as Diagnosis,
    pages: () => 'http://slo',
    log: { error: note, info: note, warn: note } as unknown as Log,
  })
  return { watch, said, told, metrics }
}

test('away at a restart, it says so once, and what was told still fires', async () => {
  const { state, fake } = source()
  state.away = true
  const book = openBook(`${await temporaryFolder()}/alerts.json`)
  const alert: Alert = {
    group: 'availability',
    name: 'page-fast',
    severity: 'page',
    since: 0,
    text: 'burns',
    diagnosis: null,
    runbook: '',
  }
  book.tell({ group: 'availability', status: 'firing', severity: 'page', since: 0, at: 0, alerts: [alert] })
  book.note('begun', begin)
  const { watch, said, told } = watching(fake, book)
  await until(() => told.length > 0)
  await watch.stop()
  expect(said).toEqual(['source.away'])
  expect(told).toEqual([[alert]])
})

test('the alerts that Alertmanager reports are so many at most; the oldest is forgotten', async () => {
  const book = openBook(`${await temporaryFolder()}/alerts.json`)
  const { watch, metrics } = watching(source().fake, book)
  const many = Array.from(
    { length: limits.reportedAlerts.value + 3 },
    (_, n) => ({ group: 'g', name: `${n}` }) as Alert,
  )
  watch.report(many, many)
  expect(book.noted<Alert[]>('reported')?.[0]?.name).toBe('3')
  expect(await sampleIn(metrics, 'tintype_limit_reached_total{limit="reportedAlerts"}')).toBe(3)
  await watch.stop()
})

test('no evaluation for three minutes pages, and so does a watchdog that fell silent', () => {
  for (const name of ['monitoring-blind', 'watchdog-silent'] as const) {
    expect(silence(name, null)).toEqual([])
    expect(silence(name, 1)).toMatchObject([{ name, severity: 'page', since: 1 }])
  }
})

test('a sign of life is missing after its time, from when it last came, until it comes again', () => {
  let now = 1_000
  const sign = expectSign(300_000, null, () => now)
  now += 300_000
  expect(sign.missingSince()).toBeNull()
  now += 60_000
  const since = sign.missingSince()
  expect(Math.abs(Date.now() - 360_000 - Number(since))).toBeLessThan(5_000)
  now += 60_000
  expect(sign.missingSince()).toBe(since)
  sign.came()
  expect(sign.missingSince()).toBeNull()
})

test('after a pause a sign has its time anew; what was said before a restart stands until it comes', () => {
  expect(expectSign(300_000).missingSince()).toBeNull()
  const said = expectSign(300_000, 7)
  expect(said.missingSince()).toBe(7)
  said.came()
  expect(said.missingSince()).toBeNull()
})
