import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { backtest } from '../math/backtest.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { readRecorded } from '../sources/recorded.ts'
import { computedKinds } from '../test/kinds.ts'
import { startPrometheus } from '../test/prometheus.ts'
import { promtoolTest, runPromtool } from '../test/promtool.ts'
import { randomScenario, simulate } from '../test/simulate.ts'

const begin = Date.UTC(2026, 0, 1) / 60_000
const seeds = [1, 6, 9]

describeWithParts('expressions and thresholds', ['prometheus', 'promtool'], parts => {
  test.runIf(process.env.TEST_FULL).each(seeds)(
    'read from Prometheus alert as the rules do, outages %i',
    async seed => {
      const simulated = simulate(randomScenario(seed))
      const folder = await mkdtemp(join(tmpdir(), 'slo-'))
      onTestFinished(() => rm(folder, { recursive: true, force: true }))
      const later = simulated.series.map(each => ({
        ...each,
        samples: each.samples.map(({ timeMs, value }) => ({ timeMs: timeMs + begin * 60_000, value })),
      }))
      const running = await startPrometheus(parts, folder, later)
      onTestFinished(() => running.stop())
      const to = begin + simulated.minutes
      const recorded = await readRecorded(openPrometheus(running.url), computedKinds, { from: begin, to })
      const timelines = (recorded?.objectives ?? []).flatMap(({ objective, tally }) =>
        backtest(objective, tally, begin, to).map(timeline => ({
          ...timeline,
          firings: timeline.firings.map(({ fires, clears, budgetUsed }) => ({
            fires: fires - begin,
            clears: clears === null ? null : clears - begin,
            budgetUsed,
          })),
        })),
      )
      expect(timelines.some(({ firings }) => firings.length > 0)).toBe(true)
      await runPromtool(parts.promtool, await temporaryFolder(), computedKinds, [
        promtoolTest(simulated, timelines),
      ])
    },
  )
})
