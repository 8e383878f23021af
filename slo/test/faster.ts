import type { RuleFile } from '../alerts/rules.ts'

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const duration = /(?<!\w)(?:\d+(?:ms|[smhd]))+(?!\w)/g

/** The same rules for a clock that runs `times` as fast: every duration is divided. */
export const faster = (file: RuleFile, times: number): RuleFile =>
  JSON.parse(JSON.stringify(file).replace(duration, text => `${milliseconds(text) / times}ms`))

const milliseconds = (text: string): number =>
  [...text.matchAll(/(\d+)(ms|[smhd])/g)].reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (unitMs[unit] ?? NaN),
    0,
  )
