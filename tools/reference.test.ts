import { expect, test } from 'vitest'
import { committed, withTables } from './reference.ts'

test('the reference lists each variable, metric and attribute as the code has it', () => {
  expect(committed(), 'run npm run reference').toBe(withTables(committed()))
  expect(committed()).toContain('`tintype_promises_total`')
})
