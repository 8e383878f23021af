import { expect, onTestFinished, test, vi } from 'vitest'
import type { Photo } from './api.ts'

vi.mock('@tintype/lib/page/browser/navigation.ts', () => ({}))
vi.stubGlobal('location', new URL('http://127.0.0.1/'))
vi.stubGlobal('document', { cookie: '' })

test('a photo is late when its promise is over, also when that is no whole number of seconds', async () => {
  const { lookOf } = await import('./item.ts')
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const at = (ms: number) => new Date(Date.now() + ms).toISOString()
  const photo = { id: '1', state: 'queued', acceptedAt: at(0), promiseBy: at(2_400) } as Photo
  vi.advanceTimersByTime(2_300)
  expect(lookOf({ photo }).state).toBe('busy')
  vi.advanceTimersByTime(200)
  expect(lookOf({ photo }).state).toBe('late')
})
