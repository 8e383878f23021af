import { describe, expect, test } from 'vitest'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { backtest, type Timeline } from '../math/backtest.ts'
import { readRecorded } from '../sources/recorded.ts'
import { countedKinds } from '../test/kinds.ts'
import { promtoolTest, runPromtool } from '../test/promtool.ts'
import { samplesSource } from '../test/samples-source.ts'
import { randomScenario, type Simulated, simulate } from '../test/simulate.ts'

/** All 200 with TEST_FULL=1; promtool takes four seconds for each. */
const [batch, batches] = process.env.TEST_FULL ? [5, 40] : [3, 1]

const objectives = [...readDirectory().objectives, ...countedKinds]

async function timelinesOf(simulated: Simulated): Promise<Timeline[]> {
  const recorded = await readRecorded(samplesSource(simulated), objectives, {
    from: 0,
    to: simulated.minutes,
  })
  return (recorded?.objectives ?? []).flatMap(({ objective, tally }) =>
    backtest(objective, tally, 0, simulated.minutes),
  )
}

describe('the embedded evaluation', () => {
  test('fires on some of the random outages and not on all', async () => {
    const timelines = await Promise.all(
      Array.from({ length: batch }, (_, i) => timelinesOf(simulate(randomScenario(i)))),
    )
    const firings = timelines.flat().map(each => each.firings.length)
    expect(firings.some(count => count > 1)).toBe(true)
    expect(firings.some(count => count === 0)).toBe(true)
  })
})

describeWithParts('the generated rules in Prometheus', ['promtool'], ({ promtool }) => {
  const seeds = Array.from({ length: batches }, (_, i) => i * batch)
  test.each(seeds)(
    'fire and clear with the embedded evaluation, outages from %i',
    { timeout: 300_000 },
    async first => {
      const tests = await Promise.all(
        Array.from({ length: batch }, async (_, i) => {
          const simulated = simulate(randomScenario(first + i))
          return promtoolTest(simulated, await timelinesOf(simulated))
        }),
      )
      await runPromtool(promtool, await temporaryFolder(), objectives, tests)
    },
  )
})
