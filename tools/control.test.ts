import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder, until } from '../test/support.ts'
import { control, openControl } from './control.ts'

test('an action that fails is answered, a second holder is refused, and a holder that is cut off is undone after its action', async () => {
  const file = join(await temporaryFolder(), 'control.sock')
  const done: string[] = []
  const slow = Promise.withResolvers<void>()
  const actions = {
    status: async () => 'fine',
    fail: async () => Promise.reject(new Error('no such thing')),
    async begin() {
      done.push('asked')
      await slow.promise
      done.push('begun')
    },
  }
  const errors: unknown[] = []
  const undo = async () => {
    done.push('undone')
    throw new Error('a part of it failed')
  }
  await openControl(file, actions, undo, error => errors.push(error))

  const other = await control(file)
  expect(await other.ask('status')).toBe('fine')
  const holder = connect(file)
  holder.on('error', () => {})
  holder.write('{"do":"begin"}\nnonsense\n')
  await until(() => done.includes('asked'))
  await expect(other.ask('fail')).rejects.toThrow('another release is under way')
  holder.destroy()
  slow.resolve()
  await until(() => errors.length === 1)
  expect(done).toEqual(['asked', 'begun', 'undone'])
  await until(() =>
    other.ask('fail').then(
      () => false,
      error => /no such thing/.test(String(error)),
    ),
  )
  other.close()
})

test('a question to a launcher that has ended fails, also a later one, which waited for ever', async () => {
  const file = join(await temporaryFolder(), 'control.sock')
  const server = createServer(socket => void socket.once('data', () => socket.destroy())).listen(file)
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { ask } = await control(file)
  await expect(ask('status')).rejects.toThrow('the launcher has ended')
  await expect(ask('back')).rejects.toThrow('the launcher has ended')
})
