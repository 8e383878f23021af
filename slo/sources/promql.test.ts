import { describe, expect, test } from 'vitest'
import type { Selector } from './index.ts'
import {
  counterOf,
  gainsLabel,
  isInstantVector,
  losesLabel,
  parseSelector,
  promqlError,
  scoped,
  withMatchers,
  withoutComments,
} from './promql.ts'
import { matches } from './selector.ts'

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
  test.each([
    ...['a{b="c"}', 'sum(a{b="c"})', 'sum by (d) (a{b="c"})', '(sum(a{b="c"}) by (d))', "a{b='c'}"],
    ...['sum(a{b="c"}) or vector(0)', '(sum(a{b="c"}) or on() vector( 0 ))'],
    ...['sum(rate(a{b="c"}[5m]))', 'increase(a{b="c"}[1m]) or vector(0)', 'SUM(a{b="c"}) OR vector(0)'],
  ])('%s is read series by series', promql => {
    expect(counterOf(promql).selector).toEqual({
      metric: 'a',
      matchers: [{ label: 'b', operator: '=', value: 'c' }],
    })
  })

  test.each([
    ...['sum(a) + sum(b)', 'a offset 5m', 'max(a)', 'irate(a[5m])', '{__name__=~"a|b"}'],
    ...['job:a:sum', 'sum(job:a:sum{b="c"})'],
    ...['max(rate(a[5m]))', 'rate(a[5m] offset 1m)', 'rate(max(a)[5m:1m])'],
    ...['sum(a) or vector(1)', 'a or b', 'a{"b.c"="d"}', '{"a.b"}', 'a{b=~"\\\\pL"}', 'a{b=~"[[:alpha:]]"}'],
  ])('%s is computed', promql => expect(counterOf(promql).selector).toBe(null))
})

describe('an instant vector', () => {
  test.each([
    ...[
      'a',
      '(a)',
      '-a',
      'a offset 5m',
      'a @ end()',
      'a - b @ end() offset 5m',
      'sum(a) - b offset 5m',
      '1 + a',
      'vector(1)',
      'sum(a) > bool 0',
      'topk by (y) (1, a)',
    ],
    ...[
      'rate((a[5m]))',
      'max_over_time(rate(a[5m])[1h:1m] offset 1m)',
      'quantile_over_time(0.9, a[5m] @ end())',
    ],
    'histogram_quantile(0.9, sum by (le) (rate(a[5m])))',
  ])('is %s', promql => expect(isInstantVector(promql)).toBe(true))

  test.each([
    ...[
      'a[5m]',
      'a[5m:1m]',
      '(a[5m]) offset 1m',
      'sum(a[5m])',
      'a[5m] > 1',
      'rate(a)',
      'rate(sum(a[5m]))',
      'sum(a) offset 1h',
    ],
    ...['1', '(-1)', '"a"', 'scalar(a)', '-scalar(a)', 'time() - 5', 'abs(a[5m])', 'rate(a[5m][5m:1m])'],
  ])('is not %s', promql => expect(isInstantVector(promql)).toBe(false))
})

test('an aggregation keeps the labels that it names, or those that it does not leave out', () => {
  const lost = ['sum(a)', 'sum by (y) (a)', 'max without (x) (a)', 'sum by (x) (max(a))']
  const kept = ['a + b', 'sum by (y, x) (a)', 'max(a) by (x)', 'max without (y) (a)', 'topk by (y) (1, a)']
  expect([...lost, ...kept].filter(promql => losesLabel(promql, 'x'))).toEqual(lost)
})

test('a join gives the labels that it names, and a function the one that it replaces', () => {
  const gained = ['a * on (y) group_left (z, x) b', 'label_replace(a, "x", "$1", "y", "(.*)")']
  const own = ['a * on (x) group_left (y) b', 'label_replace(a, "y", "$1", "x", "(.*)")', 'abs(a{x="x"})']
  expect([...gained, ...own].filter(promql => gainsLabel(promql, 'x'))).toEqual(gained)
})

test('comments are no part of an expression', () => {
  expect(withoutComments('# of users\na{b="#"} # in all\n  + c # and')).toBe('a{b="#"} \n  + c')
})

test.each([
  ['a', undefined],
  ['a}b', '}b'],
  ['rate(a', 'its end'],
  ['', 'its end'],
  ['a{code!~"(?i)5.."} / a{b="(?=c)"}', undefined],
  ['a{code=~"(?!5).*"}', 'code=~"(?!5).*"'],
  [String.raw`sum(a) - b{c='d',code!~'(..)\\1'}`, String.raw`code!~'(..)\\1'`],
  ['a\u00a0+ b{c="\u00a0"}', '\u00a0+ b{c="""}'],
  ['a{c="\u00a0"} # \u00a0', undefined],
  ['a{code=~"5[0-"}', 'code=~"5[0-"'],
  ['a{code=~"*"}', 'code=~"*"'],
  [String.raw`a{code=~"5\\h"}`, String.raw`code=~"5\\h"`],
  [String.raw`a{code=~"5\d\d"}`, String.raw`"5\d\d"`],
  [String.raw`a{path="C:\temp\x"}`, String.raw`"C:\temp\x"`],
  [String.raw`a{path="\x41\u00e9\\d",b='it\'s',c=~${'`5\\d+`'}}`, undefined],
  [String.raw`a{b=~"\\pL|(?P<x>y)|z(?i)w|(?U)v+"}`, undefined],
])('of %s Prometheus does not read %s', (text, wrong) => {
  expect(promqlError(text)).toBe(wrong)
})

test('flags at the start of a pattern are those of Go', () => {
  const selector = parseSelector('a{b=~"(?i)get|post"}') as Selector
  expect(['GET', 'Post', 'put'].filter(b => matches(selector, { b }))).toEqual(['GET', 'Post'])
  expect(parseSelector('a{b!~"c.*"}')?.matchers).toEqual([{ label: 'b', operator: '!~', value: 'c.*' }])
})
