import { expect, test } from 'vitest'
import type { Said } from './drill.ts'
import { type Finding, gradeOf, isNamed, report } from './score.ts'

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
  expect(isNamed(finding('two', ['store disk-latency also receive'], 'store disk-latency'))).toBe(false)
})

test('who does not know abstains: no verdict, or a stage without a cause; a wrong name and a wrong all-clear do not', () => {
  const grades = ['unknown', 'store', 'healthy', 'store cpu', 'convert'].map(said =>
    gradeOf(finding('disk', ['store disk-latency'], said)),
  )
  expect(grades).toEqual(['abstained', 'abstained', 'wrong', 'wrong', 'wrong'])
  expect(gradeOf(finding('calm', ['healthy'], 'store disk-latency'))).toBe('wrong')
})

test('of several processes the one that is ill must be named', () => {
  const one = { ...finding('hung', ['convert hung-slot'], 'convert hung-slot'), instance: 'b' }
  expect(gradeOf(one)).toBe('wrong')
  const replicas = ['converter b is slow in convert']
  expect(gradeOf({ ...one, verdict: { ...one.verdict, replicas } })).toBe('right')
})

test('the report counts right, abstained and wrong, and those set aside apart', () => {
  const findings = [
    finding('one', ['store disk-latency'], 'store disk-latency'),
    finding('two', ['store disk-latency'], 'store disk-latency'),
    finding('three', ['healthy'], 'store disk-latency', true),
    finding('four', ['healthy'], 'unknown', true),
  ]
  expect(report(findings).split('\n')).toEqual([
    'truth                            said',
    'store disk-latency               store disk-latency × 2',
    'healthy                          store disk-latency   ✗ three (wrong)',
    'healthy                          unknown   ✗ four (abstained)',
    'known: 2 right, 0 abstained, 0 wrong of 2',
    'aside: 0 right, 1 abstained, 1 wrong of 2',
    'named 2/4',
  ])
})
