import { expect, test } from 'vitest'
import { noteHeaders, serverNow } from './server.ts'

const note = (headers: Record<string, string>) => noteHeaders(name => headers[name] ?? null)

test('times are the server’s, also where the browser’s clock is wrong by a day', () => {
  const day = 86_400_000
  note({ date: new Date(Date.now() - day).toUTCString() })
  expect(Math.abs(serverNow() - (Date.now() - day))).toBeLessThan(2_000)
  note({})
  expect(Math.abs(serverNow() - (Date.now() - day)), 'a response without a date').toBeLessThan(2_000)
  note({ date: new Date().toUTCString() })
  expect(Math.abs(serverNow() - Date.now())).toBeLessThan(1_000)
})
