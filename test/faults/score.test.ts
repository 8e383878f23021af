import { expect, test } from 'vitest'
import type { Truth } from './drill.ts'
import type { Finding } from './run.ts'
import { isNamed, report } from './score.ts'

const finding = (drill: string, truth: Truth, found: Truth, aside = false): Finding => ({
  drill,
  aside,
  truth,
  found,
  seconds: 70,
})
const slowDisk = { verdict: 'store', cause: 'disk-latency' }

test('a drill is named when stage, cause and what else is slow are', () => {
  expect(isNamed(finding('disk', slowDisk, { ...slowDisk }))).toBe(true)
  expect(isNamed(finding('disk', slowDisk, { verdict: 'store', cause: null }))).toBe(false)
  expect(isNamed(finding('two', { ...slowDisk, also: 'receive' }, slowDisk))).toBe(false)
})

test('the report counts, shows what was taken for what, and scores apart what diagnose was not made with', () => {
  const findings = [
    finding('one', slowDisk, slowDisk),
    finding('two', slowDisk, slowDisk),
    finding('three', { verdict: 'healthy', cause: null }, slowDisk, true),
  ]
  expect(report(findings).split('\n')).toEqual([
    'truth                        said',
    'store disk-latency           store disk-latency × 2',
    'healthy                      store disk-latency   ✗ three',
    'named 2/3 (0/1 of those that diagnose was not made with)',
  ])
})
