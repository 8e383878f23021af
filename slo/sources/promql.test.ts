import { describe, expect, test } from 'vitest'
import { counterOf, parseSelector, promqlError, scoped, withMatchers } from './promql.ts'

describe('a scope', () => {
  test.each([
    ['up', 'up{namespace="n"}'],
    ['up{}', 'up{namespace="n"}'],
    ['a{x="1",}', 'a{x="1",namespace="n"}'],
    ['a{x="}"} / on(y) b', 'a{x="}",namespace="n"} / on(y) b{namespace="n"}'],
    [
      'sum by (z) (rate({__name__="c"}[5m] offset 1m))',
      'sum by (z) (rate({__name__="c",namespace="n"}[5m] offset 1m))',
    ],
    ['vector(1)', 'vector(1)'],
  ])('narrows %s to %s', (expr, expected) => {
    expect(withMatchers(expr, { namespace: 'n' })).toBe(expected)
  })

  test.each([
    ['up', 'max without (replica) (up)'],
    ['rate(up[5m] offset 1m)', 'max without (replica) (rate(up[5m] offset 1m))'],
    ['up offset 1m', 'max without (replica) (up offset 1m)'],
    ['max_over_time(rate(a[1m])[5m:10s])', 'max_over_time(max without (replica) (rate(a[1m]))[5m:10s])'],
    ['a - b @ end()', 'max without (replica) (a) - max without (replica) (b @ end())'],
    // The reader of a range drops its copies.
    ['up[5m]', 'up[5m]'],
  ])('counts the copies of a pair once: %s is %s', (expr, expected) => {
    expect(scoped(expr, { selectors: {}, replicaLabels: ['replica'] })).toBe(expected)
  })
})

describe('a counter', () => {
  test.each(['a{b="c"}', 'sum(a{b="c"})', 'sum by (d) (a{b="c"})', '(sum(a{b="c"}) by (d))', "a{b='c'}"])(
    '%s is read series by series',
    promql => {
      expect(counterOf(promql).selector).toEqual({
        metric: 'a',
        matchers: [{ label: 'b', operator: '=', value: 'c' }],
      })
    },
  )

  test.each(['sum(a) + sum(b)', 'a offset 5m', 'max(a)', 'rate(a[5m])', '{__name__=~"a|b"}'])(
    '%s is computed',
    promql => expect(counterOf(promql).selector).toBe(null),
  )
})

test('what is no PromQL is named from its first wrong character', () => {
  expect(promqlError('a}b')).toBe('}b')
  expect(promqlError('rate(a')).toBe('its end')
  expect(promqlError('')).toBe('its end')
  expect(promqlError('a')).toBe(undefined)
})

test('a selector with a pattern that only Go reads is none of ours', () => {
  expect(parseSelector('a{b=~"(?i)c"}')).toBe(undefined)
  expect(parseSelector('a{b!~"c.*"}')?.matchers).toEqual([{ label: 'b', operator: '!~', value: 'c.*' }])
})
