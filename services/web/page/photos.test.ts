import { afterEach, expect, test, vi } from 'vitest'
import { deletePhoto, type Photo } from './api.ts'
import { drop, items, put, showPhoto } from './photos.ts'
import { newUpload } from './uploads.ts'

afterEach(() => {
  vi.useRealTimers()
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
