import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { person } from './client.ts'

test('a person reaches a service behind a proxy with a prefix, a user and a password, as npm run load does', async () => {
  const server = createServer(({ url, headers }, response) => response.end(`${url} ${headers.authorization}`))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  for (const slash of ['', '/']) {
    const answer = await person(`http://us%40er:p@127.0.0.1:${port}/tintype${slash}`).request('/photos')
    expect(await answer.text()).toBe(`/tintype/photos Basic ${btoa('us@er:p')}`)
  }
})
