import type { Log } from '@tintype/lib/telemetry/log.ts'
import { expect, onTestFinished, test } from 'vitest'
import { lowerLimit, temporaryFolder, until } from '../../test/support.ts'
import type { Alert } from '../alerts/alert-store.ts'
import { type AlertStore, openAlertStore } from '../alerts/alert-store.ts'
import { readDirectory } from '../directory.ts'
import type { Minute, Objective, Slot, Source } from '../sources/index.ts'
import type { Diagnosis } from './diagnosis.ts'
import { createHistories, createHistory, type History } from './history.ts'
import { expectSign } from './sign.ts'
import { viewOf } from './view.ts'
import { silence, startWatch } from './watch.ts'

const begin = 29_454_240
const objective = readDirectory().objectives.find(({ name }) => name === 'availability') as Objective

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

test('a source that was away for hours is asked again for all of them, and then for a few minutes only', async () => {
  const { state, fake } = source()
  const history = createHistory(objective, fake)
  await history.refresh(begin + 100)
  state.away = true
  for (let now = begin + 101; now <= begin + 400; now++) await expect(history.refresh(now)).rejects.toThrow()
  expect(viewOf(objective, history.known(), begin, begin + 400).standing).toMatchObject({ unknown: 300 })
  state.away = false
  await history.refresh(begin + 401)
  expect(viewOf(objective, history.known(), begin, begin + 401).standing).toMatchObject({
    good: 401,
    unknown: 0,
  })
  state.asked = 0
  await history.refresh(begin + 402)
  expect(state.asked).toBeLessThan(12)
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

function watching(
  fake: Source,
  alertStore: AlertStore,
  hasAlertmanager: (() => Promise<boolean>) | null = null,
) {
  const logged: string[] = []
  const updates: (readonly Alert[])[] = []
  const note = (event: string) => void logged.push(event)
  const watch = startWatch({
    histories: createHistories([objective], fake),
    source: fake,
    notifier: { update: async firing => void updates.push(firing), stop: async () => {} },
    alertStore,
    hasAlertmanager,
    heartbeat: null,
    diagnosis: { look: async () => {}, found: () => null } as unknown as Diagnosis,
    pages: () => 'http://slo',
    log: { error: note, info: note, warn: note } as unknown as Log,
  })
  return { watch, logged, updates }
}

async function newStore(): Promise<AlertStore> {
  const store = openAlertStore(`${await temporaryFolder()}/alerts.json`)
  onTestFinished(() => store.flush())
  return store
}
const burning: Alert = {
  group: 'availability',
  name: 'page-fast',
  severity: 'page',
  since: 0,
  text: 'burns',
  diagnosis: null,
  runbook: '',
}
const sentBefore = async (): Promise<AlertStore> => {
  const store = await newStore()
  store.record({
    group: 'availability',
    status: 'firing',
    severity: 'page',
    since: 0,
    at: 0,
    alerts: [burning],
  })
  store.set('begun', begin)
  return store
}

test('away at a restart, it logs so once, and what was sent still fires', async () => {
  const { state, fake } = source()
  state.away = true
  const { watch, logged, updates } = watching(fake, await sentBefore())
  await until(() => updates.length > 0)
  await watch.stop()
  expect(logged).toEqual(['source.away'])
  expect(updates).toEqual([[burning]])
})

/** A source in which the last twenty minutes are offline. */
const offline = (): Source => ({
  slots: async (_, from, to) => {
    const now = Math.floor(Date.now() / 60_000)
    return Array.from({ length: to - from }, (_, i) => {
      const good = from + i < now - 20 ? 4 : 0
      return { start: from + i, good, total: 4, unknown: false }
    })
  },
  seenBefore: async () => true,
  labelValues: async () => [],
  close: async () => {},
})

test.each<[string, (() => Promise<boolean>) | null, boolean]>([
  ['without Prometheus', null, true],
  ['with a Prometheus that has no Alertmanager', async () => false, true],
  ['with an Alertmanager', async () => true, false],
  ['while Prometheus has only begun to answer', () => Promise.reject(new Error('not yet')), false],
])('%s, whether slo sends the alert of an objective is %s', async (_, hasAlertmanager, sends) => {
  const { watch, updates } = watching(offline(), await newStore(), hasAlertmanager)
  await until(() => updates.length > 0)
  await watch.stop()
  expect(updates[0]?.map(({ group }) => group)).toEqual(sends ? expect.arrayContaining(['availability']) : [])
})

test('slo sends in the place of an Alertmanager whose SloWatchdog does not arrive, and ends what it began', async () => {
  const store = await newStore()
  store.set('watchdog', 1)
  store.record({
    group: 'monitoring',
    status: 'firing',
    severity: 'page',
    since: 1,
    at: 1,
    alerts: [{ ...burning, group: 'monitoring', name: 'watchdog-silent', since: 1 }],
  })
  const { watch, updates } = watching(offline(), store, async () => true)
  await until(() => updates.length > 0)
  expect(updates[0]?.map(({ group }) => group)).toEqual(
    expect.arrayContaining(['availability', 'monitoring']),
  )
  store.record({
    group: 'availability',
    status: 'firing',
    severity: 'page',
    since: 0,
    at: 0,
    alerts: [burning],
  })
  watch.receiveWatchdog()
  await watch.stop()
  const again = watching(offline(), store, async () => true)
  again.watch.receiveWatchdog()
  await until(() => again.updates.length > 0)
  await again.watch.stop()
  expect(new Set(again.updates[0]?.map(({ group }) => group))).toEqual(new Set(['availability']))
})

test('a grouped objective has a history for each group, also of one that begins later', async () => {
  const values = ['a', 'b']
  let isGone = false
  const asked: string[] = []
  const fake: Source = {
    ...source().fake,
    slots: async (sli, from, to) => {
      if (sli.kind === 'ratio') asked.push(sli.total.promql)
      return Array.from({ length: to - from }, (_, i) => ({
        start: from + i,
        good: 1,
        total: 1,
        unknown: isGone,
      }))
    },
    labelValues: async () => values,
  }
  const histories = createHistories([objective, { ...objective, id: 'by-city', groupBy: 'city' }], fake)
  await histories.refresh(begin + 100)
  const ids = () => histories.all().map(({ objective }) => objective.id)
  expect(ids()).toEqual([objective.id, 'by-city{city="a"}', 'by-city{city="b"}'])
  expect(asked.at(-1)).toContain('city="b"')
  values.push('c')
  await histories.refresh(begin + 101)
  expect(ids()).toContain('by-city{city="c"}')
  lowerLimit('objectiveGroups', 3)
  values.splice(0, 3, 'x')
  await histories.refresh(begin + 102)
  expect(ids()).not.toContain('by-city{city="x"}')
  // Of the others a day tells nothing: their place is free.
  isGone = true
  await histories.refresh(begin + 102 + 1_440)
  expect(ids()).toEqual([objective.id])
  isGone = false
  await histories.refresh(begin + 103 + 1_440)
  expect(ids()).toEqual([objective.id, 'by-city{city="x"}'])
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
