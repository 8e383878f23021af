import { afterEach, expect, test, vi } from 'vitest'
import { deletePhoto, fetchPhotos, type Photo } from './api.ts'
import { drop, items, put, showPhoto } from './photos.ts'
import { newUpload } from './uploads.ts'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

test('a photo whose event comes before the answer to its upload gets no second row, and another’s gets one soon', () => {
  vi.useFakeTimers()
  const upload = newUpload({ key: '1', name: 'a.jpg', size: 1 })
  const sent = { upload: { ...upload, state: { is: 'sending', share: 0 } as const } }
  put(sent)
  showPhoto({ id: '1', state: 'queued' } as Photo)
  expect(items()).toEqual([sent])
  // Firefox rounds its clock: it may show less than the time of a timer that has ended.
  const rounded = vi.spyOn(performance, 'now').mockReturnValue(0)
  vi.advanceTimersByTime(1_000)
  rounded.mockRestore()
  expect(items()).toHaveLength(2)
  drop(sent)
})

test('a photo is deleted when web says so, and not by the login page of a proxy, which comes with 200', async () => {
  vi.stubGlobal('location', { origin: 'http://127.0.0.1', pathname: '/' })
  const answers = [new Response(null, { status: 204 }), new Response('<html>sign in</html>')]
  vi.stubGlobal('fetch', async () => answers.shift())
  await deletePhoto('1')
  await expect(deletePhoto('1')).rejects.toThrow('DELETE: 200')
})

test('a list that takes 15 s, as on a slow line, is no lost connection', async () => {
  vi.useFakeTimers()
  vi.spyOn(AbortSignal, 'timeout').mockImplementation(ms => {
    const ending = new AbortController()
    setTimeout(() => ending.abort(), ms)
    return ending.signal
  })
  vi.stubGlobal('location', { origin: 'http://127.0.0.1', pathname: '/' })
  vi.stubGlobal('fetch', (_: URL, { signal }: { signal: AbortSignal }) => {
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    signal.onabort = () => reject(signal.reason)
    setTimeout(() => resolve(Response.json({ photos: [], next: null })), 15_000)
    return promise
  })
  const list = fetchPhotos()
  list.catch(() => {})
  await vi.advanceTimersByTimeAsync(15_000)
  expect(await list).toEqual({ photos: [], next: null })
})
