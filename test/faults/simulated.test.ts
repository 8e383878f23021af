import { expect, test } from 'vitest'
import { simulated } from './drills/simulated.ts'
import { gradeOf, saidIn } from './score.ts'
import { runSimulated } from './simulated.ts'

/** `npm run faults -- --simulated` asks at all minutes. */
const some = (minutes: readonly number[]): number[] => [
  ...new Set([0, minutes.length >> 1, minutes.length - 1].map(i => minutes[i] as number)),
]

test.each(simulated)(
  '$name is named at some of its minutes',
  async drill => {
    for (const finding of await runSimulated({ ...drill, minutes: some(drill.minutes) }))
      expect(gradeOf(finding), `${finding.drill}: ${saidIn(finding)}`).toBe('right')
  },
  60_000,
)
