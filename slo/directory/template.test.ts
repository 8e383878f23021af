import { expect, test } from 'vitest'
import { parseService } from './service.ts'
import { fill, templatesOf } from './template.ts'

const expressions = {
  'rate(counter)': 'sum(rate($counter[$w]))',
  'mean(name, labels)': '$rate(${name}_sum{$labels}) / $rate(${name}_count{$labels})',
  half: '$mean(took, a="1",b="2") / 2',
}
const filled = (text: string, more = {}) => fill(text, templatesOf({ ...expressions, ...more }))

test('a name is written out with its arguments, the last of which may hold commas', () => {
  expect(filled('1 - $half')).toBe(
    '1 - ((sum(rate(took_sum{a="1",b="2"}[$w])) / sum(rate(took_count{a="1",b="2"}[$w]))) / 2)',
  )
})

test('what is more than one term stays together, also when it begins with an aggregation', () => {
  const share = { one: 'sum by (a) (x)', share: 'sum by (a) (x) / y' }
  expect(filled('2 / $share + $one', share)).toBe('2 / (sum by (a) (x) / y) + sum by (a) (x)')
})

test('an entry is written once for each row of for: a key replaces its own, another stands in it', () => {
  const resource = {
    for: [
      { stage: 'a', job: 'x' },
      { stage: 'b', job: 'y', blames: ['a'] },
    ],
    ...{ cause: 'slow', kind: 'part', query: '$rate(calls{job="$job"})', action: 'start $job' },
  }
  const stages = ['a', 'b'].map(name => ({ name, seconds: 'took' }))
  const text = JSON.stringify({ service: 'shop', expressions, stages, resources: [resource] })
  const [one, other] = parseService('service.yaml', text).service.resources
  const entry = { cause: 'slow', kind: 'part' }
  expect(one).toEqual({ ...entry, stage: 'a', query: 'sum(rate(calls{job="x"}[$w]))', action: 'start x' })
  expect(other).toMatchObject({ stage: 'b', blames: ['a'], action: 'start y' })
})

test('a parenthesis or a comma in a quoted value is none of the call', () => {
  expect(filled('$rate(x{path="/a,(b"}) / $rate(x{path=~\'\\\\)\'})')).toBe(
    'sum(rate(x{path="/a,(b"}[$w])) / sum(rate(x{path=~\'\\\\)\'}[$w]))',
  )
})

test.each([
  ['$nothing', '$nothing is not an expression'],
  ['$mean(took)', '$mean takes name, labels'],
  ['$rate(took', 'a parenthesis is not closed'],
  ['$one', 'name each other without end'],
])('%s is refused', (text, message) => {
  expect(() => filled(text, { one: '1 + $two', two: '1 + $one' })).toThrow(message)
})
