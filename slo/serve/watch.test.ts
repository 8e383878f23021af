import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Log } from '@tintype/lib/telemetry/log.ts'
import { expect, onTestFinished, test } from 'vitest'
import { lowerLimit, temporaryFolder, until } from '../../test/support.ts'
import type { Alert } from '../alerts/alert-store.ts'
import { type AlertStore, openAlertStore } from '../alerts/alert-store.ts'
import type { Sends } from '../alerts/alertmanager.ts'
import { readDirectory } from '../directory.ts'
import { isBurning } from '../math/burn-rate.ts'
import { addPlanned } from '../math/planned.ts'
import { type Minute, type Objective, type Slot, type Source, SourceError } from '../sources/index.ts'
import type { Diagnoser } from './diagnosis.ts'
import { type Evaluations, openEvaluations } from './evaluations.ts'
import { expectSign, sawNoPause } from './sign.ts'
import { absenceAlerts, startWatch } from './watch.ts'

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
    now: async () => Infinity,
    seenBefore: async () => false,
    series: async () => [],
    close: async () => {},
  }
  return { state, fake }
}

/** What was stored before: when the objective began. */
function evaluating(fake: Source, objectives = [objective]) {
  const stored = new Map<string, unknown>([['began', { [objective.id]: begin }]])
  const evaluations = openEvaluations(objectives, fake, {
    get: <T>(name: string) => stored.get(name) as T | undefined,
    set: (name, value) => void stored.set(name, value),
  })
  return {
    stored,
    evaluations,
    standingAt: async (minute: Minute) => (await evaluations.viewsAt(minute))[0]?.standing,
  }
}

test('each minute asks for a few minutes, each tenth for two hours, and what is known stays whole', async () => {
  const { state, fake } = source()
  const { evaluations } = evaluating(fake)
  await evaluations.read(begin + 100)
  state.asked = 0
  for (let now = begin + 101; now < begin + 400; now++) await evaluations.read(now)
  expect(state.asked / 299).toBeLessThan(24)
  const [view] = await evaluations.viewsAt(begin + 399)
  expect(view?.slots).toHaveLength(399)
  expect(view?.slots.every(({ start }, i) => start === begin + i)).toBe(true)
})

/** Each read from then on fails, and the seven minutes to come are offline and alert. */
async function expectBlind(evaluations: Evaluations, from: Minute): Promise<void> {
  for (let now = from; now <= begin + 107; now++) expect(await evaluations.read(now)).toContain('away')
  const [blind] = await evaluations.viewsAt(begin + 107)
  expect(blind?.standing).toMatchObject({ bad: 7, unknown: 7 })
  expect(blind?.firings.map(({ tier }) => tier.name)).toEqual(['page-fast'])
}

test('a clock that was a year ahead leaves nothing behind once it is right again', async () => {
  const { evaluations, standingAt } = evaluating(source().fake)
  await evaluations.read(begin + 100 + 365 * 1440)
  await evaluations.read(begin + 100)
  expect(await standingAt(begin + 100)).toMatchObject({ good: 100, bad: 0 })
})

test('while the source is away its minutes are unknown, so that what is known still alerts, and heal', async () => {
  const { state, fake } = source()
  const { evaluations, standingAt } = evaluating(fake)
  await evaluations.read(begin + 100)
  state.away = true
  await expectBlind(evaluations, begin + 101)
  state.away = false
  await evaluations.read(begin + 108)
  expect((await standingAt(begin + 108))?.bad).toBe(0)
})

test('a source that was away for hours is asked again for all of them, and then for a few minutes only', async () => {
  const { state, fake } = source()
  const { evaluations, standingAt } = evaluating(fake)
  await evaluations.read(begin + 100)
  state.away = true
  for (let now = begin + 101; now <= begin + 400; now++) await evaluations.read(now)
  expect(await standingAt(begin + 400)).toMatchObject({ unknown: 300 })
  state.away = false
  await evaluations.read(begin + 401)
  expect(await standingAt(begin + 401)).toMatchObject({ good: 401, unknown: 0 })
  state.asked = 0
  await evaluations.read(begin + 402)
  expect(state.asked).toBeLessThan(12)
})

test('a source that is away from the start is offline from then on, and whole once it is back', async () => {
  const { state, fake } = source()
  const { evaluations, standingAt } = evaluating(fake)
  state.away = true
  await expectBlind(evaluations, begin + 100)
  state.away = false
  await evaluations.read(begin + 108)
  expect(await standingAt(begin + 108)).toMatchObject({ good: 108, bad: 0 })
})

function watching(
  fake: Source,
  alertStore: AlertStore,
  alertmanager: (() => Promise<Sends>) | null = null,
  heartbeat: URL | null = null,
  objectives = [objective],
  evaluations: Evaluations = openEvaluations(objectives, fake, alertStore),
  dataDir = '/nowhere',
) {
  const logged: string[] = []
  const updates: (readonly Alert[])[] = []
  const errors: unknown[] = []
  const looked: string[] = []
  const note = (event: string, about?: { error?: string }) => {
    logged.push(event)
    errors.push(about?.error)
  }
  const watch = startWatch({
    evaluations,
    notifier: {
      update: async firing => void updates.push(firing),
      begun: () => new Set(alertStore.sent().map(({ group }) => group)),
      isStuck: () => false,
      stop: async () => {},
    },
    alertStore,
    alertmanager,
    heartbeat,
    diagnosis: { look: async () => void looked.push('look'), found: () => null } as unknown as Diagnoser,
    pages: () => 'http://slo',
    dataDir,
    log: { error: note, info: note, warn: note } as unknown as Log,
  })
  return { watch, logged, errors, updates, looked }
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
  store.set('began', { [objective.id]: begin })
  return store
}

test('slo stops although its source does not answer', async () => {
  const asked = Promise.withResolvers<void>()
  const hanging = (): Promise<never> => {
    asked.resolve()
    return new Promise(() => {})
  }
  const { watch } = watching({ ...source().fake, slots: hanging }, await newStore())
  await asked.promise
  await watch.stop()
})

test('away at a restart, it logs so once, and what was sent still fires', async () => {
  const { state, fake } = source()
  state.away = true
  const { watch, logged, updates } = watching(fake, await sentBefore())
  await until(() => updates.length > 0)
  await watch.stop()
  expect(logged).toEqual(['source.away'])
  expect(updates).toEqual([[burning]])
})

test('a budget that burns only because its source is away is looked into once the source is back: a verdict would wait for it', async () => {
  const { state, fake } = source()
  const { evaluations } = evaluating(fake)
  await evaluations.read(begin + 100)
  state.away = true
  for (let now = begin + 101; now <= begin + 110; now++) await evaluations.read(now)
  const [view] = await evaluations.viewsAt(begin + 110)
  expect(view && isBurning(view, view.at)).toBe(true)
  const then = {
    ...evaluations,
    read: () => evaluations.read(begin + 110),
    viewsAt: () => evaluations.viewsAt(begin + 110),
  }
  const looks = async () => {
    const { watch, looked, updates } = watching(fake, await newStore(), null, null, [objective], then)
    await until(() => updates.length > 0)
    await watch.stop()
    return looked.length
  }
  expect(await looks()).toBe(0)
  // The source is back, and the minutes were bad indeed.
  state.away = false
  fake.slots = async (_, from, to) =>
    Array.from({ length: to - from }, (_, i) => ({ start: from + i, good: 0, total: 4, unknown: false }))
  expect(await looks()).toBe(1)
})

test('two objectives that read one counter over windows of different lengths ask for a few minutes each', async () => {
  const { state, fake } = source()
  const month = { ...objective, id: 'month', windowMinutes: 43_200 }
  const { evaluations } = evaluating(fake, [month, objective])
  for (let now = begin + 100; now < begin + 103; now++) await evaluations.read(now)
  state.asked = 0
  for (let now = begin + 103; now < begin + 203; now++) await evaluations.read(now)
  expect(state.asked / 200).toBeLessThan(24)
  state.away = true
  await evaluations.read(begin + 203)
  expect((await evaluations.viewsAt(begin + 203)).map(({ standing }) => standing.good)).toEqual([202, 202])
})

test('an objective that is edited to count what is not there yet was not offline', async () => {
  const { fake } = source()
  const unknown = async (_: unknown, from: Minute, to: Minute) =>
    Array.from({ length: to - from }, (_, i) => ({ start: from + i, good: 0, total: 0, unknown: true }))
  const { evaluations } = evaluating({ ...fake, slots: unknown })
  await evaluations.read(begin + 100)
  expect(await evaluations.viewsAt(begin + 100)).toEqual([])
})

/** A source of which one objective's reads fail, always or from now on. */
function failing(fake: Source, total: string): Source {
  return {
    ...fake,
    slots: (sli, from, to) =>
      sli.kind === 'ratio' && sli.total.promql === total
        ? Promise.reject(new SourceError('too many series'))
        : fake.slots(sli, from, to),
  }
}
const other: Objective = {
  ...objective,
  id: 'other',
  name: 'other',
  sli: { ...objective.sli, total: { promql: 'other_total', selector: null } } as Objective['sli'],
}

test('an objective that cannot be read is named, and the others are judged', async () => {
  const { evaluations, standingAt } = evaluating(failing(source().fake, 'other_total'), [objective, other])
  expect(await evaluations.read(begin + 100)).toBe('other: too many series')
  expect([...evaluations.unread().keys()]).toEqual(['other'])
  expect(await standingAt(begin + 100)).toMatchObject({ good: 100, bad: 0 })
})

test('an alert does not end while its objective cannot be read, and one of a removed objective does', async () => {
  const store = await sentBefore()
  for (const group of ['other{city="a"}', 'removed']) {
    const alerts = [{ ...burning, group }]
    store.record({ group, status: 'firing', severity: 'page', since: 0, at: 0, alerts })
  }
  const fake = failing(source().fake, 'other_total')
  const { watch, updates } = watching(fake, store, null, null, [objective, other])
  await until(() => updates.length > 0)
  await watch.stop()
  expect(updates[0]?.map(({ group }) => group)).toEqual(['other{city="a"}'])
})

test('when objectives began is stored also while one of them cannot be read', async () => {
  const { stored, evaluations } = evaluating(failing(source().fake, 'other_total'), [objective, other])
  stored.set('began', { other: begin, 'other{city="a"}': begin, removed: begin })
  await evaluations.read(begin + 100)
  expect(stored.get('began')).toEqual({ other: begin, 'other{city="a"}': begin, availability: begin })
})

test('each read of a long evaluation is a sign of life', async () => {
  const { evaluations } = evaluating(failing(source().fake, 'other_total'), [objective, other])
  const reads: boolean[] = []
  await evaluations.read(begin + 100, isRead => void reads.push(isRead))
  expect(reads).toEqual(expect.arrayContaining([true, false]))
})

test('of an objective that could not be read for three minutes one alert says which and why, also after a restart', async () => {
  const store = await newStore()
  store.record({
    group: 'monitoring of other',
    status: 'firing',
    severity: 'page',
    since: 7,
    at: 7,
    alerts: [{ ...burning, group: 'monitoring of other', name: 'monitoring-blind', since: 7 }],
  })
  const { watch, updates } = watching(failing(offline(), 'other_total'), store, null, null, [
    objective,
    other,
  ])
  await until(() => updates.length > 0)
  await watch.stop()
  const monitoring = updates[0]?.filter(({ name }) => name === 'monitoring-blind')
  expect(monitoring).toMatchObject([{ group: 'monitoring of other', since: 7 }])
  expect(monitoring?.[0]?.text).toContain('too many series')
  expect(updates[0]?.map(({ group }) => group)).toContain('availability')
})

test('whether the service is online is not known while its minutes cannot be read, though its events can', async () => {
  const events = { ...other, method: 'Occurrences' as const }
  const seenLate = async (unread: string) => {
    const started = Date.now()
    const { evaluations } = evaluating(source().fake, [objective, events])
    const then = {
      ...evaluations,
      read: () => until(() => Date.now() > started + 200).then(() => evaluations.read(begin + 100)),
      unread: () => new Map([[unread, 'too many series']]),
      viewsAt: () => evaluations.viewsAt(begin + 100),
    }
    const { watch, updates } = watching(
      source().fake,
      await newStore(),
      null,
      null,
      [objective, events],
      then,
    )
    await until(() => updates.length > 0)
    await watch.stop()
    return watch.seenAt() > started + 200
  }
  expect(await seenLate('other')).toBe(true)
  expect(await seenLate('availability')).toBe(false)
})

test('while no objective can be read, one alert for all says why', async () => {
  const store = await newStore()
  const blind = { ...burning, group: 'monitoring', name: 'monitoring-blind', since: 7 }
  store.record({ group: blind.group, status: 'firing', severity: 'page', since: 7, at: 7, alerts: [blind] })
  const away = { ...source().fake, slots: () => Promise.reject(new SourceError('Prometheus is away')) }
  const { watch, updates } = watching(away, store, null, null, [objective, other])
  await until(() => updates.length > 0)
  await watch.stop()
  const monitoring = updates[0]?.filter(({ name }) => name === blind.name)
  expect(monitoring).toMatchObject([{ group: 'monitoring', text: expect.stringMatching(/known\. .*away/) }])
})

test('between the evaluations of two objectives other work of the process goes on, such as the probe', async () => {
  const store = await newStore()
  const evaluations = openEvaluations([objective, { ...objective, id: 'second' }], source().fake, store)
  const done: string[] = []
  const ids = evaluations.objectives.map(({ id }) => id).values()
  const { watch, updates } = watching(source().fake, store, null, null, [objective], {
    ...evaluations,
    viewsAt: (minute, pause) =>
      evaluations.viewsAt(minute, async () => {
        done.push(ids.next().value as string)
        setImmediate(() => done.push('probe'))
        await pause?.()
      }),
  })
  await until(() => updates.length > 0)
  await watch.stop()
  expect(done.slice(0, 4)).toEqual([objective.id, 'probe', 'second', 'probe'])
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
  now: async () => Infinity,
  seenBefore: async () => true,
  labelValues: async () => [],
  series: async () => [],
  close: async () => {},
})

test.each<[string, (() => Promise<Sends>) | null, boolean]>([
  ['without Prometheus', null, true],
  ['with a Prometheus that has no Alertmanager', async () => () => false, true],
  ['with an Alertmanager', async () => () => true, false],
  [
    'with rules that Prometheus evaluates for others',
    async () =>
      ({ name }) =>
        name !== 'availability',
    true,
  ],
  ['while Prometheus has only begun to answer', () => Promise.reject(new Error('not yet')), false],
])('%s, whether slo sends the alert of an objective is %s', async (_, alertmanager, sends) => {
  const { watch, updates } = watching(offline(), await newStore(), alertmanager)
  await until(() => updates.length > 0)
  await watch.stop()
  expect(updates[0]?.map(({ group }) => group)).toEqual(sends ? expect.arrayContaining(['availability']) : [])
})

test('an alert in a planned downtime says so, as the person on call may not know of it', async () => {
  const [store, dataDir] = [await newStore(), await temporaryFolder()]
  const now = Math.floor(Date.now() / 60_000)
  addPlanned(dataDir, { from: now - 5, to: now + 40, reason: 'larger disk' })
  const evaluations = openEvaluations([objective], offline(), store)
  const { watch, updates } = watching(offline(), store, null, null, [objective], evaluations, dataDir)
  await until(() => updates.length > 0)
  await watch.stop()
  expect(updates[0]?.[0]?.text).toMatch(/ A downtime is planned until .* UTC: larger disk\.$/)
  // After a restart, while nothing can be read, the alert is as it was sent.
  const [alert] = updates[0] as [Alert]
  store.record({ ...alert, status: 'firing', at: 0, alerts: [alert] })
  const away = { ...source().fake, slots: () => Promise.reject(new SourceError('Prometheus is away')) }
  const next = openEvaluations([objective], away, store)
  const restarted = watching(away, store, null, null, [objective], next, dataDir)
  await until(() => restarted.updates.length > 0)
  await restarted.watch.stop()
  expect(restarted.updates[0]?.find(({ name }) => name === alert.name)?.text).toBe(alert.text)
  // The folder of planned downtime is a file, so that it cannot be read.
  const damaged = await temporaryFolder()
  mkdirSync(`${damaged}/slo`)
  writeFileSync(`${damaged}/slo/planned`, '')
  const again = watching(offline(), store, null, null, [objective], evaluations, damaged)
  await until(() => again.updates.length > 0)
  await again.watch.stop()
  expect(again.updates[0]?.[0]?.text).not.toContain('downtime')
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
  const { watch, updates } = watching(offline(), store, async () => () => true)
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
  const again = watching(offline(), store, async () => () => true)
  again.watch.receiveWatchdog()
  await until(() => again.updates.length > 0)
  await again.watch.stop()
  expect(new Set(again.updates[0]?.map(({ group }) => group))).toEqual(new Set(['availability']))
})

test('once SloWatchdog goes elsewhere on purpose slo can be told, and awaits it no more', async () => {
  const store = await newStore()
  store.set('watchdog', 1)
  const alerts = [{ ...burning, group: 'monitoring', name: 'watchdog-silent', since: 1 }]
  store.record({ group: 'monitoring', status: 'firing', severity: 'page', since: 1, at: 1, alerts })
  const { watch, updates } = watching(offline(), store, async () => () => true)
  watch.forgetWatchdog()
  await until(() => updates.length > 0)
  await watch.stop()
  expect(updates[0]).toEqual([])
})

test('once slo is started without a Prometheus, no watchdog is awaited any more', async () => {
  const store = await newStore()
  store.set('watchdog', 1)
  const alerts = [{ ...burning, group: 'monitoring', name: 'watchdog-silent', since: 1 }]
  store.record({ group: 'monitoring', status: 'firing', severity: 'page', since: 1, at: 1, alerts })
  const { watch, updates } = watching(offline(), store)
  await until(() => updates.length > 0)
  await watch.stop()
  expect(updates[0]?.map(({ group }) => group)).not.toContain('monitoring')
})

test('a grouped objective has a budget for each group, also for one that begins later', async () => {
  const values = ['a', 'b']
  let isGone = false
  const asked: string[] = []
  const fake: Source = {
    ...source().fake,
    slots: async (sli, from, to) => {
      if (sli.kind === 'ratio') asked.push(sli.total.promql)
      const count = isGone ? 0 : 1
      const one = { good: count, total: count, unknown: isGone }
      return Array.from({ length: to - from }, (_, i) => ({ start: from + i, ...one }))
    },
    labelValues: async () => values,
  }
  const { evaluations } = evaluating(fake, [objective, { ...objective, id: 'by-city', groupBy: 'city' }])
  const idsAt = async (now: Minute) => {
    await evaluations.read(now)
    return (await evaluations.viewsAt(now)).map(({ objective }) => objective.id)
  }
  expect(await idsAt(begin + 100)).toEqual([objective.id, 'by-city{city="a"}', 'by-city{city="b"}'])
  expect(asked.at(-1)).toContain('city="b"')
  values.push('c')
  expect(await idsAt(begin + 101)).toContain('by-city{city="c"}')
  lowerLimit('objectiveGroups', 3)
  values.push('x')
  expect(await idsAt(begin + 102)).not.toContain('by-city{city="x"}')
  expect(evaluations.leftOut()).toBe('by-city: 1 values of city are too many')
  // The others were not counted for a day: they are gone, and their place is free.
  isGone = true
  expect(await idsAt(begin + 102 + 1_500)).toEqual([objective.id])
  values.splice(0, 3)
  isGone = false
  expect(await idsAt(begin + 103 + 1_500)).toEqual([objective.id, 'by-city{city="x"}'])
})

test('a heartbeat that is redirected did not arrive, and its path and query, secrets, are not logged', async () => {
  const outside = createServer(({ url }, response) =>
    response.writeHead(301, { Location: `https://deadman${url}` }).end(),
  )
  outside.listen(0, '127.0.0.1')
  await once(outside, 'listening')
  onTestFinished(() => void outside.close())
  const url = new URL(`http://127.0.0.1:${(outside.address() as AddressInfo).port}/ping?token=secret`)
  const { watch, logged, errors } = watching(source().fake, await newStore(), null, url)
  await until(() => logged.includes('heartbeat.failed'))
  await watch.stop()
  expect(errors).toContain('answer 301 to https://deadman/…')
  expect(errors.join()).not.toContain('secret')
})

test('no evaluation for three minutes pages, and so does a watchdog that fell silent', () => {
  for (const name of ['monitoring-blind', 'watchdog-silent'] as const) {
    expect(absenceAlerts(name, null)).toEqual([])
    expect(absenceAlerts(name, 1)).toMatchObject([{ name, severity: 'page', since: 1 }])
  }
})

test('a sign of life is missing after its time, from when it last came, until it comes again', () => {
  let now = 1_000
  const sign = expectSign(300_000, null, () => now)
  now += 300_000
  expect(sign.missingSince()).toBeNull()
  now += 60_000
  const since = sign.missingSince()
  expect(Math.abs(Date.now() - 360_000 - Number(since))).toBeLessThan(30_000)
  now += 60_000
  expect(sign.missingSince()).toBe(since)
  sign.came()
  expect(sign.missingSince()).toBeNull()
})

test('after a process was stopped, its missing signs are not told before the next look', () => {
  let now = 0
  const isRunning = sawNoPause(30_000, () => now)
  const after = (ms: number) => {
    now += ms
    return isRunning()
  }
  expect([30_000, 31_000, 240_000, 30_000].map(after)).toEqual([true, true, false, true])
})

test('after a pause a sign has its time anew; what was said before a restart stands until it comes', () => {
  expect(expectSign(300_000).missingSince()).toBeNull()
  const said = expectSign(300_000, 7)
  expect(said.missingSince()).toBe(7)
  said.came()
  expect(said.missingSince()).toBeNull()
})
