import { expect, test } from 'vitest'
import { type Entry, entryText, timelineKeyOf } from './page/api.ts'
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

test.each([
  [
    'with what was copied around it',
    `key: '4BF92F3577B34DA6A3CE929D0E0E4736',`,
    '4bf92f3577b34da6a3ce929d0e0e4736',
  ],
  ['as a UUID', '4bf92f35-77b3-4da6-a3ce-929d0e0e4736', '4bf92f3577b34da6a3ce929d0e0e4736'],
  [
    'in a traceparent',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    '4bf92f3577b34da6a3ce929d0e0e4736',
  ],
  [
    'in the value of a cookie',
    'tintype_session=e1a58d65633f6704f0d0658172751446._4GAAT_3JhX09KqW1IlmejxW5jG0hr42XEKL0BH6iU5',
    'e1a58d65633f6704f0d0658172751446',
  ],
  [
    'in an address whose host has a longer name',
    'https://photosofthefamilyandallfriends.example/photos/6g3b0zk1x5n8w2q9r7t4v0y1c/thumbnail',
    '6g3b0zk1x5n8w2q9r7t4v0y1c',
  ],
  ['of a photo that has no digit', 'photos/ybqhkasckyjqhfpmtgxscvnaz', 'ybqhkasckyjqhfpmtgxscvnaz'],
])('an id is found %s', (_how, text, id) => {
  expect(timelineKeyOf(text)).toBe(id)
})

test('the page shows the lines of a stack as lines, and a backslash before an n as it was', () => {
  const error = 'Error: no C:\\new\n    at open (files.ts:1:2)'
  const entry = { id: 'web.0.17.1', session: null, timestamp: '', received_at: '', payload: { error } }
  expect(entryText(entry)).toContain('"Error: no C:\\\\new\n    at open')
})
