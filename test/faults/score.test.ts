import { expect, test } from 'vitest'
import type { Said } from './drill.ts'
import { type Finding, isNamed, report } from './score.ts'

const finding = (drill: string, truth: readonly Said[], said: Said, kept = false): Finding => {
  const [verdict, cause = null, , also] = said.split(' ') as string[]
  return {
    drill,
    kept,
    truth,
    verdict: { verdict, cause, also: also ? { stage: also, share: 0.3 } : null },
    seconds: 70,
  } as Finding
}

test('a drill is named when stage, cause and what else is slow are', () => {
  expect(isNamed(finding('disk', ['store disk-latency'], 'store disk-latency'))).toBe(true)
  expect(isNamed(finding('disk', ['store disk-latency'], 'store disk-latency also wait'))).toBe(true)
  expect(isNamed(finding('disk', ['store disk-latency'], 'store'))).toBe(false)
  expect(isNamed(finding('two', ['store disk-latency also receive'], 'store disk-latency'))).toBe(false)
})

test('a stage without a cause is right where the truth says that nothing could tell it', () => {
  expect(isNamed(finding('lock', ['receive', 'wait'], 'wait'))).toBe(true)
  expect(isNamed(finding('lock', ['receive', 'wait'], 'wait traffic'))).toBe(false)
})

test('the report counts, shows what was taken for what, and scores apart what diagnose was not made with', () => {
  const findings = [
    finding('one', ['store disk-latency'], 'store disk-latency'),
    finding('two', ['store disk-latency'], 'store disk-latency'),
    finding('three', ['healthy', 'unknown'], 'store disk-latency', true),
  ]
  expect(report(findings).split('\n')).toEqual([
    'truth                            said',
    'store disk-latency               store disk-latency × 2',
    'healthy                          store disk-latency   ✗ three',
    'named 2/3: 2/2 of those that diagnose was made with, 0/1 of those kept aside',
  ])
})
