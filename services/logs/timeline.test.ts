import { expect, test } from 'vitest'
import type { Entry } from './page/api.ts'
import { storyOf } from './timeline.ts'

const noon = Date.parse('2026-11-22T12:00:00.000Z')
const entry = (id: string, ms: number, payload: Record<string, unknown>): Entry => ({
  id,
  session: null,
  timestamp: new Date(noon + ms).toISOString(),
  payload: { event: '', level: 'info', ...payload },
  received_at: new Date(noon + ms).toISOString(),
})

test('stages lead back from the entry that ends them, and quiet times are gaps', () => {
  const entries = [
    entry('web.0.17.1', 0, { event: 'photo.accepted', photo: 'p', receiveSeconds: 0.5 }),
    entry('converter.0.17.1', 2_000, {
      event: 'photo.ready',
      photo: 'p',
      seconds: 2.125,
      wait: 1,
      convert: 0.75,
      store: 0.25,
    }),
    entry('web.0.17.2', 60_000, { event: 'photo.deleted', photo: 'p' }),
  ]
  const { services, stages, gaps } = storyOf('p', entries, false)
  expect(services).toEqual(['converter.0', 'web.0'])
  expect(stages.map(({ stage, fromMs, toMs }) => [stage, fromMs - noon, toMs - noon])).toEqual([
    // 0.125 s after the last byte the job was durable.
    ['receive', -625, 0],
    ['wait', 0, 1_000],
    ['convert', 1_000, 1_750],
    ['store', 1_750, 2_000],
  ])
  expect(gaps).toEqual([{ fromMs: noon + 2_000, toMs: noon + 60_000 }])
})

test('an entry without seconds has no stages, and no entries have no story', () => {
  expect(storyOf('p', [entry('web.0.17.1', 0, { event: 'photo.ready', photo: 'p' })], false).stages).toEqual(
    [],
  )
  expect(storyOf('p', [], false)).toMatchObject({ services: [], stages: [], gaps: [] })
})
