import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { remark } from '../diagnose/remark.ts'
import { outageFormat } from '../math/outage.ts'

const folder = join(import.meta.dirname, '../page')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
type Texts = Record<string, { en: string; ko: string }>
const remarks = JSON.parse(read('remarks.json')) as Texts

test('how to write an outage is said in Korean with the examples and forms that slo has', () => {
  const written = (text: string) => text.replaceAll(/[“”]/g, '"').match(/"[^"]+"|^ {2}[\w% ]+ D\b/gm)
  const { whatIfUnclear } = JSON.parse(read('words.json')) as Texts
  expect(written(outageFormat)).toHaveLength(8)
  expect(written(whatIfUnclear?.ko ?? '')).toEqual(written(outageFormat))
})

test('a share has the digits that its target needs, and none is rounded up to it', async () => {
  vi.stubGlobal('location', { search: '?lang=ko' })
  vi.stubGlobal('document', {})
  const { percent } = await import(join(folder, 'words.ts'))
  expect([percent(0.57), percent(0.95838), percent(1)]).toEqual(['57%', '95.83%', '100%'])
  expect([percent(0.99999, 0.99999), percent(0.999989, 0.99999)]).toEqual(['99.999%', '99.9989%'])
  expect([percent(0.9999999, 0.99), percent(1, 1)]).toEqual(['99.99%', '100%'])
})

test('each remark of diagnose is shown in Korean by its own form, with its values', async () => {
  vi.stubGlobal('location', { search: '?lang=ko' })
  vi.stubGlobal('document', {})
  // Its types are those of a browser.
  const { learn, translated, translatedRemark } = await import(join(folder, 'words.ts'))
  const values = {
    ...{
      process: 'web 10.0.0.1:80',
      job: 'web',
      stage: 'store',
      cause: 'cpu',
      seconds: '1.20',
      usual: '0.40',
    },
    ...{
      objective: 'latency',
      objectives: 'a and b',
      present: 1,
      wanted: 2,
      time: '2026-11-26T04:12:00.000Z',
    },
  }
  for (const [name, { ko }] of Object.entries(remarks)) {
    const shown = { ...values, time: '04:12' } as Record<string, unknown>
    expect(translatedRemark(remark(name as Parameters<typeof remark>[0], values))).toBe(
      ko.replaceAll(/\{(\w+)\}/g, (_, key: string) => String(shown[key])),
    )
  }
  expect(translatedRemark('something else')).toBe('something else')
  learn({ words: {} })
  expect(translated('events')).toBe('이벤트')
  learn({ words: { ko: { '{job} is away (start it)': '{job} 시작하세요' } } })
  expect(translated('web 10.0.0.1:80, web 10.0.0.2:80 is away (start it)')).toBe(
    'web 10.0.0.1:80, web 10.0.0.2:80 시작하세요',
  )
  // As an operator's words may be: a name twice, alone, or braces that are none of a name.
  learn({ words: { ko: { '{any}': '{any}', '{job} is away: start {job} (x{2}, {,})': '{job} 시작' } } })
  expect(translated('web is away: start web (x2, {,})')).toBe('web 시작')
  vi.resetModules()
  vi.stubGlobal('location', { search: '?lang=en' })
  const english = await import(join(folder, 'words.ts'))
  expect(english.translatedRemark(remark('started', values))).toBe('web 10.0.0.1:80 started at 04:12')
})

test('a runbook that slo serves is asked for in the language of the page, also with a query or a place in it', async () => {
  vi.resetModules()
  vi.stubGlobal('location', { search: '?lang=ko' })
  vi.stubGlobal('document', {})
  const { runbookAddress } = await import(join(folder, 'parts.ts'))
  const page = 'docs/runbooks/cpu.md'
  expect([page, `${page}#why`, `${page}?plain=1#why?`].map(runbookAddress)).toEqual([
    `${page}?lang=ko`,
    `${page}?lang=ko#why`,
    `${page}?lang=ko&plain=1#why?`,
  ])
  for (const other of ['https://wiki.example/cpu?id=1', 'mailto:ops@shop.example'])
    expect(runbookAddress(other)).toBe(other)
})
