import { connect } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
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
