import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const folder = join(import.meta.dirname, '../page')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const texts = JSON.parse(read('words.json')) as Record<string, { en: string; ko: string }>
const source = globSync('*.{ts,html}', { cwd: folder })
  .filter(name => !name.endsWith('.test.ts'))
  .map(read)
  .join('\n')

const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+/g))].sort()

test('each text has the same placeholders in English and Korean', () => {
  const differing = Object.entries(texts).filter(
    ([, { en, ko }]) => String(placeholders(en)) !== String(placeholders(ko)),
  )
  expect(differing).toEqual([])
})

test('each text is used, and each text that the HTML names is there', () => {
  const named = [...source.matchAll(/data-(?:text|label)="(\w+)"/g)].map(([, name = '']) => name)
  expect(named.filter(name => !(name in texts))).toEqual([])
  const forever = (name: string) => name.replace(/Forever$/, '')
  const unused = Object.keys(texts).filter(name => !new RegExp(`['"]${forever(name)}['"]`).test(source))
  expect(unused).toEqual([])
})
