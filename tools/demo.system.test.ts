import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../test/support.ts'
import { chooseLesson } from './demo/story.ts'
import { demo } from './demo.ts'

test.skipIf(!process.env.TEST_FULL)(
  'the demo narrates burn, alert, verdict and recovery of a fault',
  async () => {
    const lines: string[] = []
    const well = await demo(chooseLesson(), line => void lines.push(line), new AbortController().signal)
    const steps = lines.map(line => line.split(' ')[0])
    expect({ well, steps }).toEqual({
      well: true,
      steps: expect.arrayContaining(['burn', 'alert', 'recovery']),
    })
    expect(lines.find(line => line.startsWith('verdict'))).toMatch(/slow in wait, because of no-workers/)
  },
  900_000,
)

test('Ctrl-C ends the demo and removes everything', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'demo.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGINT')
    await ended
  })
  let output = ''
  child.stdout.on('data', chunk => {
    output += chunk
  })
  await until(() => output.includes('load '), { timeoutMs: 150_000, what: 'the load' })
  child.kill('SIGINT')
  expect((await ended)[0]).toBe(0)
  expect(output.trim().split('\n').at(-1)).toMatch(/stopped, everything is removed/)
  expect(existsSync(/in (\S+)/.exec(output)?.[1] ?? '')).toBe(false)
  expect(output).not.toContain('\u001b')
  expect(output).toMatch(/open +http:\/\/localhost:\d+/)
})
