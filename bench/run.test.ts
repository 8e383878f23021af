import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { until } from '../test/support.ts'
import { type Bench, run, Stopped } from './run.ts'

const options = { quick: true, progress: () => {} }

test('a benchmark that reaches its time bound ends what it started, the last first', async () => {
  const ended: string[] = []
  let folder = ''
  const hangs = ({ folder: own, onEnd }: Bench) => {
    folder = own
    for (const name of ['first', 'second']) onEnd(() => ended.push(name))
    return new Promise<never>(() => {})
  }
  await expect(run(hangs, options, 0.001)).rejects.toThrow('not done within its bound of 0.001 minutes')
  expect(ended).toEqual(['second', 'first'])
  expect(existsSync(folder)).toBe(false)
})

test('a benchmark that fails ends what it started', async () => {
  let ended = false
  const fails = async ({ onEnd }: Bench) => {
    onEnd(() => {
      ended = true
    })
    throw new Error('the disk is full')
  }
  await expect(run(fails, options, 1)).rejects.toThrow('the disk is full')
  expect(ended).toBe(true)
})

test('a signal ends all benchmarks of a command, and not only the one that runs', async () => {
  const running = run(() => new Promise<never>(() => {}), options, 1)
  const stopped = expect(running).rejects.toBeInstanceOf(Stopped)
  await until(() => process.listenerCount('SIGHUP') > 0, { what: 'the benchmark to run' })
  process.emit('SIGHUP', 'SIGHUP')
  await stopped
})
