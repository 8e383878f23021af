import { expect, test } from 'vitest'
import { noteClock, serverNow } from './server.ts'

test('times are the server’s, also where the browser’s clock is wrong by a day', () => {
  const day = 86_400_000
  noteClock(new Date(Date.now() - day).toUTCString())
  expect(Math.abs(serverNow() - (Date.now() - day))).toBeLessThan(2_000)
  noteClock(null)
  expect(Math.abs(serverNow() - (Date.now() - day)), 'a response without a date').toBeLessThan(2_000)
  noteClock(new Date().toUTCString())
  expect(Math.abs(serverNow() - Date.now())).toBeLessThan(1_000)
})
