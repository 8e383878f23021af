import { expect, test } from 'vitest'
import { onePerCopy } from './prometheus-api.ts'

/** A counter that grows by 1 a second, read each 15 s in [from, to), as one server of a pair has it. */
const copy = (replica: string, from: number, to: number, offset: number) => ({
  metric: { replica, job: 'api' },
  values: Array.from({ length: Math.ceil((to - from) / 15) }, (_, i): [number, string] => {
    const at = from + i * 15 + offset
    return [at, String(at)]
  }),
})
const gaps = (times: number[]) => times.slice(1).map((at, i) => at - (times[i] ?? 0))

test('the samples of one server fill the gaps of the other, and no value falls', () => {
  // The first is restarted for 10 minutes, later the second; the second begins earlier.
  const first = [...copy('a', 600, 1800, 0).values, ...copy('a', 2400, 7200, 0).values]
  const second = [...copy('b', 0, 4200, 7).values, ...copy('b', 4800, 6600, 7).values]
  const [all, ...more] = onePerCopy(
    [
      { metric: { job: 'api', replica: 'a' }, values: first },
      { metric: { job: 'api', replica: 'b' }, values: second },
    ],
    ['replica'],
  )
  expect(more).toEqual([])
  expect(all?.labels).toEqual({ job: 'api' })
  const samples = all?.samples ?? []
  expect(Math.max(...gaps(samples.map(({ timeMs }) => timeMs / 1000)))).toBeLessThan(30)
  expect(gaps(samples.map(({ value }) => value)).every(grown => grown > 0)).toBe(true)
  expect([samples[0]?.value, samples.at(-1)?.value]).toEqual([7, 7185])
})

test('without labels of replicas each series stays itself', () => {
  const answered = onePerCopy([copy('a', 0, 60, 0), copy('b', 0, 60, 7)], [])
  expect(answered.map(({ labels, samples }) => [labels.replica, samples.length])).toEqual([
    ['a', 4],
    ['b', 4],
  ])
})
