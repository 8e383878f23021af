import { createMetrics } from '@tintype/lib/telemetry/metrics.ts'
import { expect, test } from 'vitest'
import { labelsOf, parseExposition, withLabels } from './exposition.ts'

test('reads what our own services expose, in both formats, to the same numbers', async () => {
  const metrics = createMetrics('web', '1.2.3')
  metrics.increment('tintype_promises_total', { outcome: 'kept' }, 3)
  metrics.observe('tintype_stage_seconds', { stage: 'receive' }, 0.02, '0af7651916cd43dd8448eb211c80319c')
  const openMetrics = await metrics.render('application/openmetrics-text')
  const text = await metrics.render(undefined)
  const samples = parseExposition(openMetrics.body, 'openmetrics')
  const ours = (all: typeof samples) => all.filter(({ name }) => name.startsWith('tintype_'))
  expect(ours(parseExposition(text.body, 'text'))).toEqual(ours(samples))
  expect(samples).toContainEqual({ name: 'tintype_promises_total', labels: 'outcome="kept"', value: 3 })
  expect(samples).toContainEqual({
    name: 'tintype_stage_seconds_bucket',
    labels: 'le="0.025",stage="receive"',
    value: 1,
  })
})

test('reads every number the format has', () => {
  const text = 'a 1\na 1e3\na -0.5\na NaN\na Nan\na +Inf\na -Inf\na .5\n'
  const numbers = [1, 1000, -0.5, NaN, NaN, Infinity, -Infinity, 0.5]
  expect(parseExposition(text, 'text').map(({ value }) => value)).toEqual(numbers)
})

test('labels keep their values, however they are written', () => {
  const [sample] = parseExposition('m{b="x,}\\" y\\\\n\\n",a="Ünï",} 1', 'text')
  expect(labelsOf(sample?.labels ?? '')).toEqual({ a: 'Ünï', b: 'x,}" y\\n\n' })
  expect(sample?.labels.startsWith('a=')).toBe(true)
  expect(withLabels('b="1",job="x"', { job: 'web', a: '"' })).toBe('a="\\"",b="1",exported_job="x",job="web"')
})

test('blanks, tabs and line ends of Windows stand between tokens', () => {
  const text = '\t# HELP a b\r\n\r\n a_total { b = "1", c="2" , }\t 3 \r\nd\t4\ne{ } 5'
  expect(parseExposition(text, 'text')).toEqual([
    { name: 'a_total', labels: 'b="1",c="2"', value: 3 },
    { name: 'd', labels: '', value: 4 },
    { name: 'e', labels: '', value: 5 },
  ])
})

test('a series with a name in quotes does not cost the others of the scrape, and labels may have one', () => {
  const text =
    '{"http.requests",code="200"} 1\n{ "up.time" } 2 3\nb{code="200","http.route"="/"} 2\na{code="{\\"x"} 3\n'
  const samples = parseExposition(text, 'text')
  expect(samples.map(({ name, value }) => [name, value])).toEqual([
    ['b', 2],
    ['a', 3],
  ])
  expect(labelsOf(withLabels(samples[0]?.labels ?? '', { job: 'x' }))).toEqual({
    code: '200',
    job: 'x',
    '"http.route"': '/',
  })
})

test('a time as Go writes it, any exemplar, and a backslash that escapes nothing, are read as Prometheus does', () => {
  const line = `${String.raw`a{dir="C:\data\\new",b="1"} 2 1.520879607789e+09`} # {trace_id="a line\u2028separator"} 1`
  const [sample] = parseExposition(`${line}\n# EOF\n`, 'openmetrics')
  expect(sample?.value).toBe(2)
  expect(labelsOf(sample?.labels ?? '').dir).toBe(String.raw`C:\data\new`)
  expect(labelsOf(withLabels(sample?.labels ?? '', { job: 'x' })).dir).toBe(String.raw`C:\data\new`)
})

test.each([
  ['a torn answer', 'a 1\n', 'openmetrics', 'was cut'],
  ['a value cut short', 'a 1\nb', 'text', 'line 2: no sample'],
  ['no number', 'a one', 'text', 'line 1: no sample'],
  ['a hexadecimal number', 'a 0x10', 'text', 'no sample'],
  ['labels that do not end', 'a{b="1" 2', 'text', 'no sample'],
  ['a label without quotes', 'a{b=1} 2', 'text', 'no sample'],
  ['a label given twice', 'a{b="1",b="2"} 2', 'text', 'a label given twice'],
  ['an error page', '<html>', 'text', 'no sample'],
  ['JSON, which begins like a name in quotes', '{"names":["http.server.requests"]}', 'text', 'no sample'],
] as const)('believes nothing of %s', (_, text, format, word) => {
  expect(() => parseExposition(text, format)).toThrow(word)
})
