import { uptime } from 'node:os'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openClock } from './clock.ts'

const day = 86_400_000

/** A server whose wall clock and uptime are the test's. */
function server(wallMs = 1_790_000_000_000) {
  const time = { wallMs, upMs: 5_000_000 }
  vi.spyOn(Date, 'now').mockImplementation(() => time.wallMs)
  vi.mocked(uptime).mockImplementation(() => time.upMs / 1000)
  onTestFinished(() => void vi.restoreAllMocks())
  const pass = (ms: number, step = 0) => {
    time.wallMs += ms + step
    time.upMs += ms
  }
  return { time, pass, clock: openClock() }
}

vi.mock(import('node:os'), async load => ({ ...(await load()), uptime: vi.fn<() => number>() }))

test('a step of the server’s own clock is no fault of shippers that agree with the time before it', () => {
  const { time, pass, clock } = server()
  const truth = () => time.wallMs - day
  pass(60_000, day)
  expect(clock.receive(truth(), false)).toEqual({ receivedMs: truth(), offsetMs: 0 })
  // Its own entries are of the same wrong clock: what others say corrects them.
  expect(clock.receive(time.wallMs, true)).toEqual({ receivedMs: truth(), offsetMs: -day })
  // A shipper that does not say its time.
  expect(clock.receive(NaN, false)).toEqual({ receivedMs: truth(), offsetMs: 0 })
  pass(60_000, -day)
  expect(clock.receive(time.wallMs, false)).toEqual({ receivedMs: time.wallMs, offsetMs: 0 })
  expect(clock.receive(time.wallMs, true)).toEqual({ receivedMs: time.wallMs, offsetMs: 0 })
})

test('a server that began with a wrong clock believes it once it is put right, as its shippers do', () => {
  const { time, pass, clock } = server()
  pass(60_000, day)
  expect(clock.receive(time.wallMs - 5, false)).toEqual({ receivedMs: time.wallMs, offsetMs: 5 })
  expect(clock.receive(time.wallMs - 3_600_000, false)).toEqual({
    receivedMs: time.wallMs,
    offsetMs: 3_600_000,
  })
})

test('a machine that slept has no wrong clock', () => {
  const { time, pass, clock } = server()
  pass(8 * 3_600_000)
  expect(clock.believed()).toBe(time.wallMs)
})

test('for what cannot be undone a step ahead counts after a day, and a step back at once', () => {
  const { time, pass, clock } = server()
  pass(60_000, 40 * day)
  expect(clock.believed()).toBe(time.wallMs - 40 * day)
  pass(day - 60_000)
  expect(clock.believed()).toBe(time.wallMs - 40 * day)
  pass(60_000)
  expect(clock.believed()).toBe(time.wallMs)
  pass(0, -41 * day)
  expect(clock.believed()).toBe(time.wallMs)
})

test('a machine that started in 1970 believes the time at once that it gets from the network', () => {
  const { time, pass, clock } = server(30_000)
  pass(10_000, 20_000 * day)
  expect(clock.believed()).toBe(time.wallMs)
})
