import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { describeWithParts, temporaryFolder } from '../../test/support.ts'
import { readDirectory } from '../directory.ts'
import { contractData } from '../sources/contract.ts'
import { openPrometheus } from '../sources/prometheus.ts'
import { type RunningPrometheus, startPrometheus } from '../test/prometheus.ts'
import { openEvaluations } from './evaluations.ts'

/** How long Prometheus is stopped, and how often slo asks meanwhile: each time takes the 30 s that a call may. */
const [awayMinutes, asks] = [60, 15]

describeWithParts('a real Prometheus that is stopped for an hour', ['prometheus', 'promtool'], parts => {
  let running: RunningPrometheus
  beforeAll(async () => {
    running = await startPrometheus(parts, await temporaryFolder(afterAll), contractData().series)
  })
  afterAll(async () => await running?.stop())

  test.runIf(process.env.TEST_FULL)(
    'is asked for that hour when it is back, so that page and report agree',
    {
      timeout: 60_000 + asks * 40_000,
    },
    async () => {
      const scenario = contractData().parts[0] as { from: number; part: { minutes: number } }
      const end = scenario.from + scenario.part.minutes
      const [objectives, source] = [readDirectory().objectives, openPrometheus(running.url)]
      const evaluations = openEvaluations(objectives, source, { get: () => undefined, set: () => {} })
      await evaluations.read(end - awayMinutes)
      process.kill(running.pid, 'SIGSTOP')
      onTestFinished(() => void process.kill(running.pid, 'SIGCONT'))
      const until = (ask: number) => end - awayMinutes + Math.floor((ask * (awayMinutes - 1)) / asks)
      for (let ask = 1; ask <= asks; ask++)
        expect(await evaluations.read(until(ask))).toContain('did not answer')
      const blind = (await evaluations.viewsAt(until(asks))).map(({ slots }) => slots.slice(1 - awayMinutes))
      expect(blind.flat().every(({ unknown }) => unknown)).toBe(true)

      process.kill(running.pid, 'SIGCONT')
      await evaluations.read(end)
      for (const { objective, slots, tally } of await evaluations.viewsAt(end)) {
        expect(tally.to).toBe(end)
        expect(slots).toEqual(await source.slots(objective.sli, tally.from, end))
        expect(slots.slice(-awayMinutes).some(({ unknown }) => !unknown)).toBe(true)
      }
    },
  )
})
