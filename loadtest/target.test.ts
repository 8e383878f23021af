import { expect, test } from 'vitest'
import { findTarget } from './target.ts'

const nowhere = '/nonexistent'

test('load goes to this machine only, unless its owner says so', async () => {
  for (const url of ['http://127.0.0.1:8080', 'http://[::1]:8080', 'http://localhost:8080/'])
    await expect(findTarget(url, nowhere, false)).resolves.toMatchObject({ url: url.replace(/\/$/, '') })
  for (const url of ['http://192.0.2.1:8080', 'http://0.0.0.0:8080', 'https://[2001:db8::1]'])
    await expect(findTarget(url, nowhere, false)).rejects.toThrow('--i-own-this')
  await expect(findTarget('http://192.0.2.1:8080', nowhere, true)).resolves.toEqual({
    url: 'http://192.0.2.1:8080',
  })
})

test('an address that the paths of the API cannot be appended to is refused', async () => {
  for (const url of [
    '127.0.0.1:8080',
    'ftp://127.0.0.1',
    'http://127.0.0.1:8080/?lang=ko',
    'http://127.0.0.1/#top',
  ])
    await expect(findTarget(url, nowhere, false), url).rejects.toThrow('is not an http(s) address')
})

test('without an address there must be a running service', async () => {
  await expect(findTarget(undefined, nowhere, false)).rejects.toThrow('npm start')
})
