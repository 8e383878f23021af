import type { Diagnosis, ObjectiveState, Stages, State } from '../page/api.ts'

const minuteMs = 60_000
const now = Date.UTC(2026, 10, 26, 12, 30)
const iso = (minutesAgo: number) => new Date(now - minutesAgo * minuteMs).toISOString()

/** The last minutes of a day, each with its letter. Earlier minutes have no data. */
const lastOf = (day: string): string => day.padStart(1440, '.').slice(-1440)

type Kind = ObjectiveState['kind']
/** Events a minute, and the bad ones of a bad minute. */
const traffic = { good: 6, bad: 2 }

/** An objective over a day whose counts are computed from its minutes. */
function objective(
  displayName: string,
  kind: Kind,
  day: string,
  more: Partial<ObjectiveState> = {},
): ObjectiveState {
  const states = lastOf(day)
  const minutes = (letters: string) => [...states].filter(letter => letters.includes(letter)).length
  const isEvents = kind === 'events'
  const target = isEvents ? 0.99 : 23 / 24
  const bad = isEvents ? minutes('x') * traffic.bad : minutes('xup')
  const good = isEvents ? minutes('ox') * traffic.good : minutes('o')
  const budget = isEvents ? (good + bad) * (1 - target) : 60
  const firing = states.endsWith('xxxx')
  const tier = (name: string, longMinutes: number, shortMinutes: number, factor: number) =>
    ({
      name,
      longMinutes,
      shortMinutes,
      factor,
      firing,
      burnLong: firing ? factor * 1.4 : 0.3,
      burnShort: firing ? factor * 2 : 0,
    }) as ObjectiveState['tiers'][number]
  return {
    name: displayName.toLowerCase().replaceAll(' ', '-'),
    displayName,
    kind,
    target,
    good,
    bad,
    budget,
    description: 'What is promised, in a sentence.',
    unit: isEvents ? 'photos' : 'minutes',
    windowMinutes: 1440,
    isRolling: true,
    from: iso(1440),
    to: iso(0),
    unknown: minutes('u'),
    budgetLeft: budget - bad,
    goneAt: firing ? iso(-95) : null,
    silentSince: null,
    tiers: [
      tier('page-fast', 15, 2, 9.6),
      tier('page-slow', 60, 5, 4.8),
      tier('ticket-fast', 180, 15, 2.4),
      tier('ticket-slow', 360, 30, 1.2),
    ],
    alerts: firing
      ? [
          { tier: 'page-fast', fires: iso(8), clears: null, budgetUsedAtFire: 0.11 },
          {
            tier: 'ticket-slow',
            fires: iso(590),
            clears: iso(540),
            budgetUsedAtFire: 0.31,
          },
        ]
      : [],
    runbook: 'docs/runbooks/availability-budget-burn.md',
    strip: {
      from: iso(1440),
      states,
    },
    ...more,
  }
}

const online = 'Online 23 of every 24 hours'
const inTime = 'The thumbnail in time'
const well = `${'o'.repeat(600)}xx${'o'.repeat(300)}uuu${'o'.repeat(535)}`
const burning = `${well.slice(0, -14)}${'x'.repeat(14)}`
const planned = `${'o'.repeat(700)}${'p'.repeat(25)}${'o'.repeat(715)}`

const diagnosis: Diagnosis = {
  at: iso(1),
  verdict: {
    verdict: 'convert',
    cause: 'cpu',
    confidence: 0.87,
    since: iso(9),
    evidence: [
      {
        metric: 'process_cpu_seconds_total{job="converter"}',
        query: 'process_cpu_seconds_total{job="converter"}',
        cause: 'cpu',
        baseline: 0.31,
        now: 0.98,
        explains: 0.87,
      },
      {
        metric: 'node_memory_MemAvailable_bytes',
        query: 'node_memory_MemAvailable_bytes',
        cause: 'memory',
        baseline: 8e9,
        now: 7.5e9,
        explains: 0.08,
      },
    ],
    lever: 'add converter slots, or a machine',
    also: { stage: 'store', cause: null, share: 0.12 },
    stages: [
      { stage: 'receive', baseline: 0.05, now: 0.05, growth: 0, share: 0 },
      { stage: 'wait', baseline: 0.1, now: 14, growth: 13.9, share: 0.7 },
      { stage: 'convert', baseline: 0.25, now: 5.1, growth: 4.85, share: 0.24 },
      { stage: 'store', baseline: 0.03, now: 1.2, growth: 1.17, share: 0.06 },
      { stage: 'deliver', baseline: null, now: null, growth: 0, share: 0 },
    ].map(each => ({
      ...each,
      had: [],
      lacked: ['tintype_storage_seconds{operation="write"}', 'process_open_fds'],
    })),
    remarks: ['the baseline holds 11 of 12 windows'],
    replicas: ['converter-2 is slower than the others of its service'],
    context: ['web restarted at 12:20'],
  },
  examples: [
    { seconds: 71.2, traceId: '5b8aa5a2d2c872e8321cf37308d69df2', photo: '8f3kq0', session: 'a&c4' },
    { seconds: 65.9, traceId: '0af7651916cd43dd8448eb211c80319c', photo: '8f3kq1', session: 'a4c1' },
  ],
  runbook: 'docs/runbooks/cause-cpu.md',
}

const state = (objectives: ObjectiveState[], more: Partial<State> = {}): State => ({
  at: iso(0),
  seenAt: iso(0),
  diagnosis: null,
  detail: null,
  mayAct: true,
  program: 'npm run slo --',
  words: {
    en: { Objectives: 'Promises', traceId: 'trace' },
    ko: { Objectives: '약속', [online]: '24시간 중 23시간 온라인' },
  },
  begun: true,
  objectives,
  comparesFrom: null,
  planned: [],
  ...more,
})

/** The states of the pages that people see, by name. */
export const pageStates: Readonly<Record<string, State>> = {
  waiting: state([objective(online, 'minutes', ''), objective(inTime, 'events', '')], { begun: false }),
  'first minutes': state([objective(online, 'minutes', 'o'.repeat(13)), objective(inTime, 'events', 'o')], {
    comparesFrom: iso(0),
  }),
  'first minutes without events': state([
    objective(online, 'minutes', `ooox${'o'.repeat(97)}`),
    objective(inTime, 'events', ''),
  ]),
  'before the first journey': state([
    objective(online, 'minutes', ''),
    objective(inTime, 'events', 'o'.repeat(1440)),
  ]),
  healthy: state([objective(online, 'minutes', well), objective(inTime, 'events', 'o'.repeat(1440))], {
    planned: [
      { id: '0-1', from: iso(1500), to: iso(1455), reason: 'the old disk' },
      { id: '1-2', from: iso(-700), to: iso(-745), reason: 'a new disk' },
    ],
  }),
  burning: state([objective(online, 'minutes', burning), objective(inTime, 'events', burning)], {
    diagnosis,
    detail: { stage: 'convert', until: iso(-8) },
  }),
  'burning, seen from elsewhere': state([objective(online, 'minutes', burning)], {
    diagnosis,
    mayAct: false,
  }),
  broken: state([
    objective(online, 'minutes', `${planned}${'x'.repeat(50)}`),
    objective(inTime, 'events', burning),
  ]),
  'only events': state([objective(inTime, 'events', well)]),
  'a month': state([
    objective(online, 'minutes', burning, {
      windowMinutes: 43_200,
      goneAt: iso(-9 * 1440),
      alerts: [{ tier: 'ticket-slow', fires: iso(3_000), clears: iso(2_900), budgetUsedAtFire: 0.4 }],
    }),
  ]),
  'a calendar month': state([
    objective(online, 'minutes', burning, {
      windowMinutes: 43_200,
      isRolling: false,
      from: '2026-11-01T00:00:00Z',
    }),
  ]),
  'odd names': state(
    [
      objective(`<img src=x onerror="document.title='broken'"> & {n:count} $& “quoted”`, 'minutes', burning),
      objective(`checkout.payments-${'x'.repeat(90)}.example/path`, 'events', burning, {
        unit: `units_${'y'.repeat(60)}`,
      }),
    ],
    {
      diagnosis: {
        ...diagnosis,
        verdict: {
          ...diagnosis.verdict,
          verdict: `stage-${'z'.repeat(60)}`,
          cause: `cause-${'c'.repeat(57)}`,
        },
      },
      planned: [{ id: '1-2', from: iso(-700), to: iso(-745), reason: `<b>${'r'.repeat(199)}` }],
    },
  ),
  silent: state([
    objective(online, 'minutes', well),
    objective('No errors', 'events', 'x'.repeat(30), { silentSince: iso(100) }),
    objective(inTime, 'events', well, { silentSince: iso(100) }),
  ]),
  'source away': state([objective(online, 'minutes', well), objective(inTime, 'events', well)], {
    seenAt: iso(10),
  }),
  'ten objectives': state(
    Array.from({ length: 10 }, (_, i) =>
      objective(
        `Requests of the route /v${i}/photos answered without an error`,
        i % 3 === 0 ? 'minutes' : 'events',
        i % 4 === 1 ? burning : well,
      ),
    ),
  ),
}

const wave = (scale: number) =>
  Array.from({ length: 36 }, (_, i) => (i < 3 ? null : scale * (1.5 + Math.sin(i / 4))))
export const stages: Stages = {
  times: Array.from({ length: 36 }, (_, i) => now / 1000 - (35 - i) * 300),
  stages: ['receive', 'wait', 'convert', 'store', 'deliver'].map((stage, i) => ({
    stage,
    p50: wave(0.05 * (i + 1)),
    p95: wave(0.1 * (i + 1)),
    p99: wave(0.2 * (i + 1)),
    share: (i + 1) / 15,
    count: 400,
  })),
}
