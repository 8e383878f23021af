import { expect, test } from 'vitest'
import { read } from '../tidy/sources.ts'
import { drills } from './drills.ts'

test('the code that each drill makes worse is there, once', () => {
  for (const { name, edits } of drills)
    for (const [file, code] of edits) expect(read(file).split(code), `${name}: ${file}`).toHaveLength(2)
})
