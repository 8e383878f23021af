import { expect, test, vi } from 'vitest'

/** The texts of a page whose address ends so, in a browser with these languages. */
async function languageOf(search: string, ...languages: string[]) {
  vi.resetModules()
  vi.stubGlobal('location', { search })
  vi.stubGlobal('document', {})
  vi.stubGlobal('navigator', { languages })
  return import('./language.ts')
}

test('a language is known however its code is written', async () => {
  for (const code of ['ko', 'KO', 'ko-KR', 'ko_KR'])
    expect((await languageOf(`?lang=${code}`, 'en')).language, code).toBe('ko')
  expect((await languageOf('?lang=kok', 'fr', 'EN-gb')).language).toBe('en')
})

test('a language that a browser names as its system does breaks no page', async () => {
  for (const [name, shown] of [
    ['en-US@posix', '3:04 PM'],
    ['en_GB.UTF-8', '15:04'],
    ['C', '3:04 PM'],
  ] as const) {
    const { language, fillIn } = await languageOf('', name)
    expect(language).toBe('en')
    expect(fillIn('{at:time}', { at: new Date(2026, 0, 2, 15, 4) }).replaceAll(/\s/g, ' ')).toContain(shown)
  }
  expect((await languageOf('', 'ko_KR.UTF-8')).language).toBe('ko')
})

test('a browser without a list of languages gets its one language', async () => {
  vi.resetModules()
  vi.stubGlobal('navigator', { language: 'ko-KR' })
  expect((await import('./language.ts')).language).toBe('ko')
})

test('a name that is written from right to left does not turn the numbers behind it', async () => {
  const { fillIn } = await languageOf('', 'en')
  const text = fillIn('{name}; {n|1 other file|# other files}', { name: 'תמונות', n: 3 })
  expect(text).toBe('\u2068תמונות\u2069; 3 other files')
  for (const name of ['\u202egpj', '\u2067gpj', '\ufee1.jpg'])
    expect(fillIn('{name}; {n}', { name, n: 3 })).toBe(`\u2068${name}\u2069; 3`)
  expect(fillIn('{name}', { name: 'plain' })).toBe('plain')
})

test('a time looks as in the browser’s region', async () => {
  const at = { at: new Date(new Date().getFullYear(), 0, 2, 15, 4) }
  const shown = async (...languages: string[]) =>
    (await languageOf('', ...languages)).fillIn('{at:time}', at).replaceAll(/\s/g, ' ')
  expect(await shown('en-US')).toBe('Jan 2 3:04 PM')
  expect(await shown('de', 'en-GB')).toBe('2 Jan 15:04')
  expect(await shown('ko-KR')).toBe('1월 2일 오후 3:04')
})

test('a time of another year has its year', async () => {
  const { fillIn } = await languageOf('', 'en-GB')
  expect(fillIn('{at:time}', { at: new Date(2024, 0, 2, 15, 4) })).toBe('2 Jan 2024 15:04')
})

test('a duration has hours from a hundred minutes on, and no tenths that are zero', async () => {
  const { duration } = await languageOf('', 'en')
  const seconds = [0.04, 5, 5.04, 5.1, 9.96, 99, 125, 5_999, 6_000, 27_000, 86_400]
  expect(seconds.map(duration)).toEqual([
    ...['0.04 s', '5 s', '5 s', '5.1 s', '10 s', '99 s', '2 min 5 s', '99 min 59 s'],
    ...['1 h 40 min', '7 h 30 min', '24 h'],
  ])
})

test('a size that exceeds a limit is never written like the limit', async () => {
  const { fillIn } = await languageOf('', 'en')
  const written = (bytes: number, most: number) =>
    fillIn('{bytes:sizeUp} of {most:sizeDown}', { bytes, most })
  expect(written(50 * 2 ** 20 + 1, 50 * 2 ** 20)).toBe('50.1 MB of 50 MB')
  expect(written(50_000_001, 50_000_000)).toBe('47.7 MB of 47.6 MB')
  expect(written(1025, 1024)).toBe('1.1 KB of 1 KB')
})
