import { expect, test } from 'vitest'
import texts from './words.json' with { type: 'json' }

const valuesIn = (text: string) =>
  [...text.matchAll(/\{(\w+)/g)].map(([, name]) => name).sort((a = '', b = '') => (a < b ? -1 : 1))

test('both languages have the same texts with the same values', () => {
  expect(Object.keys(texts.ko)).toEqual(Object.keys(texts.en))
  for (const [name, english] of Object.entries(texts.en))
    expect([name, valuesIn(texts.ko[name as keyof typeof texts.ko])]).toEqual([name, valuesIn(english)])
})
