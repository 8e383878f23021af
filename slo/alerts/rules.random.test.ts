import { expect, test } from 'vitest'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { backtest, type Timeline } from '../math/backtest.ts'
import { readRecorded } from '../sources/recorded.ts'
import { countedKinds } from '../test/kinds.ts'
import { promtoolTest, runPromtool } from '../test/promtool.ts'
import { samplesSource } from '../test/samples-source.ts'
import { randomScenario, type Simulated, simulate } from '../test/simulate.ts'

const kinds = { own: readDirectory().objectives, others: countedKinds }
type Kind = keyof typeof kinds

/**
 * All 200 with TEST_FULL=1, alternately of each kind, one a run of promtool; else one of the other kinds, because
 * `rules.test.ts` tries our own objectives. A scenario that crosses a midnight takes a
 * minute, and five minutes on a busy machine.
 */
const cases: { kind: Kind; seed: number }[] = process.env.TEST_FULL
  ? Array.from({ length: 200 }, (_, seed) => ({ kind: seed % 2 === 0 ? 'own' : 'others', seed }))
  : [{ kind: 'others', seed: 33 }]

async function timelinesOf(simulated: Simulated, kind: Kind): Promise<Timeline[]> {
  const recorded = await readRecorded(samplesSource(simulated), kinds[kind], {
    from: 0,
    to: simulated.minutes,
  })
  return (recorded?.objectives ?? []).flatMap(({ objective, tally }) =>
    backtest(objective, tally, 0, simulated.minutes),
  )
}

test.each(Object.keys(kinds) as Kind[])('some random outages fire and some do not: %s', async kind => {
  const timelines = await Promise.all(
    [0, 1, 2].map(seed => timelinesOf(simulate(randomScenario(seed)), kind)),
  )
  const firings = timelines.flat().map(each => each.firings.length)
  expect(firings.some(count => count > 1)).toBe(true)
  expect(firings.some(count => count === 0)).toBe(true)
})

describeWithParts('the generated rules in Prometheus', ['promtool'], ({ promtool }) => {
  test.each(cases)(
    'fire and clear with the embedded evaluation, outages of seed $seed: $kind',
    { timeout: 600_000 },
    async ({ kind, seed }) => {
      await expectAgreement(simulate(randomScenario(seed)), kind)
    },
  )

  test('are silent with the embedded evaluation about an objective that never counted anything', {
    timeout: 600_000,
  }, async () => {
    const neverProbed = { ...randomScenario(0), probeAway: [{ from: 0, to: Infinity }] }
    await expectAgreement(simulate(neverProbed), 'own')
  })

  async function expectAgreement(simulated: Simulated, kind: Kind): Promise<void> {
    const cases = [promtoolTest(simulated, await timelinesOf(simulated, kind))]
    await runPromtool(promtool, await temporaryFolder(), kinds[kind], cases)
  }
})
