import { expect, test } from 'vitest'
import { simulated } from './drills/simulated.ts'
import { gradeOf, saidIn } from './score.ts'
import { runSimulated } from './simulated.ts'

/** The first, when the least is known, and with TEST_FULL=1 the last; `npm run faults -- --simulated` asks at all. */
const some = ([first = 0, ...later]: readonly number[]): number[] => [
  first,
  ...(process.env.TEST_FULL ? later.slice(-1) : []),
]

test.each(simulated)(
  '$name is named at some of its minutes',
  async drill => {
    for (const finding of await runSimulated({ ...drill, minutes: some(drill.minutes) }))
      expect(gradeOf(finding), `${finding.drill}: ${saidIn(finding)}`).toBe('right')
  },
  60_000,
)
