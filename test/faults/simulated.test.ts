import { expect, test } from 'vitest'
import { simulated } from './drills/simulated.ts'
import { gradeOf, saidIn } from './score.ts'
import { runSimulated } from './simulated.ts'

/**
 * Of a day the first after noon, when crowds come; else the first, when the least is known. With TEST_FULL=1 also the
 * last; `npm run faults -- --simulated` asks at all.
 */
const some = (minutes: readonly number[]): number[] => [
  minutes.find(minute => minute > 12 * 60) ?? (minutes[0] as number),
  ...(process.env.TEST_FULL ? minutes.slice(-1) : []),
]

test.each(simulated)(
  '$name is named at some of its minutes',
  async drill => {
    for (const finding of await runSimulated({ ...drill, minutes: some(drill.minutes) }))
      expect(gradeOf(finding), `${finding.drill}: ${saidIn(finding)}`).toBe('right')
  },
  60_000,
)
